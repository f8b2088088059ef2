// Names for what the theme leaves without one, for people who use a screen reader.
document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
const name = () => {
  document.querySelectorAll(".md-code__nav").forEach((nav, i) => nav.setAttribute("aria-label", `Code block ${i + 1}`));
  document.querySelectorAll(".md-typeset__scrollwrap").forEach(table => { table.tabIndex = 0; });  // wide ones scroll
};
name();
new MutationObserver(name).observe(document.body, {childList: true, subtree: true});
document.querySelectorAll(".md-nav[aria-labelledby]").forEach(nav => {
  const label = document.getElementById(nav.getAttribute("aria-labelledby"))?.textContent.trim();
  nav.removeAttribute("aria-labelledby");
  nav.setAttribute("aria-label", `${label || "Navigation"}, level ${nav.dataset.mdLevel ?? 0}`);
});
document.querySelectorAll("th").forEach(cell => cell.textContent.trim() || cell.replaceWith(document.createElement("td")));
const labels = new Set();
document.querySelectorAll(".md-nav[aria-label]").forEach(nav => {
  let label = nav.getAttribute("aria-label").trim();
  while (labels.has(label.toLowerCase())) label += " (another)";
  labels.add(label.toLowerCase());
  nav.setAttribute("aria-label", label);
});
