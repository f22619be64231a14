/** What browsers have and the oldest compiler that the page is checked with does not know. */

interface HTMLElement {
  showPopover(): void;
  hidePopover(): void;
}
interface ToggleEvent extends Event {
  readonly newState: string;
}
