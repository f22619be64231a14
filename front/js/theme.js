/** The button that swaps light and dark; the colours themselves are CSS variables. */

import { byId, part } from "./dom.js";
import { t } from "./language.js";
import { remember } from "./prefs.js";

const system = matchMedia("(prefers-color-scheme: dark)");

export function current() {
  return document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light");
}

export function mountTheme() {
  const button = byId("theme", HTMLButtonElement);
  const icon = part(button, "use", SVGUseElement);
  const render = () => {
    const dark = current() === "dark";
    const label = dark ? t("Use the light theme") : t("Use the dark theme");
    button.setAttribute("aria-label", label);
    button.title = label;
    icon.setAttribute("href", dark ? "#i-sun" : "#i-moon");
  };
  button.addEventListener("click", () => {
    const next = current() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    remember("theme", next);
    render();
  });
  system.addEventListener("change", render);
  render();
}
