/**
 * @file The report's only script. The page is complete without it: it lets arrow keys walk along the tokens and shows
 * the token under the pointer or the focus in a line of text and in the map.
 */

/** The script's text; constant, so that the page can allow exactly this script and no other. */
export const reportScript: string = `(() => {
  const show = (token) => {
    const article = token.closest("article");
    const index = Array.prototype.indexOf.call(token.parentNode.children, token);
    for (const old of article.querySelectorAll(".on")) old.classList.remove("on");
    token.classList.add("on");
    article.querySelector(".readout").textContent = token.getAttribute("aria-label");
    const { left, cell } = article.querySelector(".map").dataset;
    article.querySelector(".cursor").setAttribute("x", String(left - 0.5 + index * cell));
  };
  const focus = (token) => {
    for (const other of token.parentNode.querySelectorAll("[tabindex='0']")) other.tabIndex = -1;
    token.tabIndex = 0;
    token.focus();
  };
  for (const token of document.querySelectorAll(".tokens li")) {
    token.setAttribute("aria-label", token.title);
    token.removeAttribute("title");
  }
  for (const line of document.querySelectorAll(".readout"))
    line.textContent = "Point at a token, or walk along them with the arrow keys.";
  document.addEventListener("mouseover", (event) => {
    const token = event.target.closest(".tokens li");
    if (token) show(token);
  });
  document.addEventListener("focusin", (event) => {
    if (event.target.matches(".tokens li")) show(event.target);
  });
  document.addEventListener("mousemove", (event) => {
    const map = event.target.closest(".map");
    if (!map) return;
    const tokens = map.closest("article").querySelector(".tokens").children;
    const x = event.clientX - map.getBoundingClientRect().left;
    const place = Math.floor((x - map.dataset.left) / map.dataset.cell);
    if (tokens[place]) show(tokens[place]);
  });
  document.addEventListener("click", (event) => {
    const token = event.target.closest(".tokens li");
    if (token) focus(token);
  });
  document.addEventListener("keydown", (event) => {
    const token = event.target;
    if (!token.matches(".tokens li")) return;
    const to = {
      ArrowRight: token.nextElementSibling,
      ArrowLeft: token.previousElementSibling,
      Home: token.parentNode.firstElementChild,
      End: token.parentNode.lastElementChild,
    }[event.key];
    if (!to) return;
    event.preventDefault();
    focus(to);
  });
})();
`;

/** SHA-256 of {@link reportScript} in base64, for the page's content security policy; a test keeps it true. */
export const reportScriptHash = "xRGQ+Fqw3/Qwq+PUDWHTEIjWvhvceCjmB47dwelvJ8k=";
