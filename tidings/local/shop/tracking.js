// The one door to the SDK: `send("track", name, properties)`. What went through it is shown at the foot of the page.
export function send(method, ...parameters) {
  if (Array.isArray(window.analytics)) window.analytics.push([method, ...parameters]);
  else window.analytics[method](...parameters);
  show(method, parameters);
}

function show(method, parameters) {
  const line = document.createElement("li");
  const what = parameters.map((value) => (typeof value === "string" ? value : JSON.stringify(value))).join(" ");
  line.innerHTML = "<b></b> <span></span>";
  line.firstChild.textContent = method;
  line.lastChild.textContent = what;
  document.getElementById("sent").prepend(line);
  document.getElementById("sent-count").textContent = document.getElementById("sent").children.length;
}
