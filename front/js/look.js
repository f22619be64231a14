/** Grid or map: two ways to look at the same results. The map comes with its first use. */

import { byId, isPlainClick } from "./dom.js";

/**
 * @param {import("./state.js").PageState} state
 * @param {() => void} showMap
 */
export function mountLook(state, showMap) {
  const toggle = byId("map-toggle", HTMLButtonElement);
  const whole = byId("map-all", HTMLAnchorElement);
  const render = () => {
    const { view, terms } = state.get();
    const isMap = view === "all" || (view === "map" && terms.length > 0);
    document.body.dataset.look = isMap ? "map" : "grid";
    document.body.classList.toggle("of-all", view === "all");
    byId("map", HTMLElement).hidden = !isMap;
    toggle.setAttribute("aria-pressed", String(isMap));
    whole.href = state.link({ view: "all" });
    if (isMap) showMap();
  };
  toggle.addEventListener("click", () => state.go({ view: state.get().view ? "" : "map" }));
  whole.addEventListener("click", (event) => {
    if (!isPlainClick(event)) return;
    event.preventDefault();
    state.go({ view: "all" });
  });
  state.subscribe(render);
  render();
}
