// Runs before first paint, so that an address which asks for something does not show the start page first.
// The names are those that url.js reads.
if (/[?&](?:(?:q|query|imageUrl|id)=[^&]|view=all)/.test(location.search)) document.body.dataset.view = "results";
