// Code that was asked for with import() comes from where the page came from, and is no longer there once a newer version is.

/** What import() promised; throws one sentence when it does not come. */
export async function arrived<T>(part: Promise<T>): Promise<T> {
  try {
    return await part;
  } catch {
    throw new Error('A part of this page could not be loaded; reload the page. Your data is kept.');
  }
}
