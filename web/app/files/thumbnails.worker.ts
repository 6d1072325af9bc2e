// Draws thumbnails away from the page's thread. Each request is answered once, in its own time.
export interface ThumbnailRequest {
  readonly id: number;
  readonly file: Blob;
  /** What the core read: drawn when the browser does not know the file's format. */
  readonly pixels: { readonly data: Uint8ClampedArray<ArrayBuffer>; readonly width: number; readonly height: number };
}

export interface ThumbnailAnswer {
  readonly id: number;
  readonly thumbnail: Blob;
}

const side = 144;

async function draw({ file, pixels }: ThumbnailRequest): Promise<Blob> {
  const picture = await createImageBitmap(file).catch(() =>
    createImageBitmap(new ImageData(pixels.data, pixels.width, pixels.height)),
  );
  const canvas = new OffscreenCanvas(side, side);
  const context = canvas.getContext('2d');
  if (!context) throw new Error('this browser cannot draw in a worker');
  // Cover the square, cut what overhangs; white behind what is transparent, as the core has it.
  const scale = Math.max(side / picture.width, side / picture.height);
  const width = picture.width * scale;
  const height = picture.height * scale;
  context.fillStyle = '#fff';
  context.fillRect(0, 0, side, side);
  context.imageSmoothingQuality = 'high';
  context.drawImage(picture, (side - width) / 2, (side - height) / 2, width, height);
  picture.close();
  return canvas.convertToBlob({ type: 'image/jpeg', quality: 0.82 });
}

self.onmessage = (event: MessageEvent<ThumbnailRequest>) => {
  const { id } = event.data;
  void draw(event.data)
    // A picture that cannot be drawn still has its place in the grid.
    .catch(() => new Blob([]))
    .then((thumbnail) => {
      self.postMessage({ id, thumbnail } satisfies ThumbnailAnswer);
    });
};
