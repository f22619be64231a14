/** Every column of a result, also those that searches do not bring along. */

/**
 * @param {import("../js/on-demand.js").Parts} parts
 * @param {string} id
 * @returns {Promise<import("../js/api.js").Columns | null>} null where they cannot be had
 */
export async function allColumns({ api, state }, id) {
  try {
    const [{ indices }, config] = await Promise.all([api.offer(), api.config()]);
    const chosen = state.get().index || config.index;
    const info = indices.find(({ name }) => name === chosen) ?? indices[0];
    if (!info?.columns.length) return null;
    const { hits } = await api.search({
      query: `#${id}`,
      index: info.name,
      modality: state.get().modality,
      k: 1,
      filter: `id = ${id}`,
      columns: info.columns.map(({ name }) => name),
      pictures: "none",
    });
    return hits[0]?.metadata ?? null;
  } catch {
    return null; // What the search brought along is shown.
  }
}
