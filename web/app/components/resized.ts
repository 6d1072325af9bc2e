/** Calls `act` in the frame after the element has got another size, and soon after the start; gives the way to stop. */
export function whenResized(element: Element, act: () => void): () => void {
  let frame = 0;
  // Acting at once may change the size again, which WebKit reports as an error.
  const observer = new ResizeObserver(() => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(act);
  });
  observer.observe(element);
  return () => {
    observer.disconnect();
    cancelAnimationFrame(frame);
  };
}
