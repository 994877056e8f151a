// Asks for the list every two seconds and swaps it in when it has changed, so that a new mail appears by itself.
const list = document.getElementById("mails");
const live = document.getElementById("live");
const address = "/inbox/list?chosen=" + encodeURIComponent(list.dataset.chosen);
let shown = "";

function show(html) {
  const focused = list.contains(document.activeElement) && document.activeElement.getAttribute("href");
  list.innerHTML = html;
  if (focused) list.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
  shown = html;
}

async function refresh() {
  try {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(answer.status);
    const html = await answer.text();
    if (html !== shown) show(html);
    live.textContent = "Live";
  } catch {
    live.textContent = "Not running";
  }
  live.classList.toggle("lost", live.textContent !== "Live");
  setTimeout(refresh, 2000);
}
refresh();
