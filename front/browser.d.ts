/** What browsers have and the oldest compiler that the page is checked with does not know. */

interface HTMLElement {
  showPopover(): void;
  hidePopover(): void;
}
interface ToggleEvent extends Event {
  readonly newState: string;
}
interface CanvasPath {
  roundRect(x: number, y: number, w: number, h: number, radii?: number): void;
}
