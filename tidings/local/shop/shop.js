// One page that draws itself by its path. Links inside /shop/ change the path without loading the page again.
import * as shop from "./cart.js";
import { PRODUCTS, art, byId, money } from "./products.js";
import { send } from "./tracking.js";

const page = document.getElementById("page");
const escape = (text) => text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);

const PLANS = [
  { name: "Visitor", price: 0, what: ["Everything in the shop", "Delivery in five days", "Thirty days to change your mind"] },
  { name: "Regular", price: 4, what: ["Delivery tomorrow", "First look at new things", "A year to change your mind"], best: true },
  { name: "Studio", price: 19, what: ["Ten desks", "One invoice a month", "Somebody who answers the phone"] },
];

const views = {
  home: () => `
    <section class="hero"><h1>Small things for a calmer desk</h1>
      <p>Six of them. We stopped there on purpose.</p></section>
    <ul class="grid">${PRODUCTS.map((product) => `
      <li><a class="card" href="/shop/things/${product.id}">
        <img src="${art(product)}" alt="" style="background:${product.tint}" width="320" height="320">
        <span class="name">${product.name}</span><span class="price">${money(product.price)}</span>
        <span class="line">${product.line}</span></a></li>`).join("")}
    </ul>`,

  thing: (product) => `
    <article class="thing">
      <img src="${art(product)}" alt="${product.name}" style="background:${product.tint}" width="320" height="320">
      <div><h1>${product.name}</h1><p class="price">${money(product.price)}</p><p>${product.more}</p>
        <button type="button" data-add="${product.id}">Add to cart</button>
        <p class="said" role="status" id="said"></p>
        <p class="back"><a href="/shop/">All things</a></p></div>
    </article>`,

  cart: () => shop.count() === 0 ? `
    <section class="narrow"><h1>Your cart</h1><p>There is nothing in it yet. <a href="/shop/">Have a look around.</a></p></section>` : `
    <section class="narrow"><h1>Your cart</h1>${summary(true)}
      <a class="button" href="/shop/checkout">Go to checkout</a>
      <p class="hint">Or leave it here, and see what arrives in the <a href="/inbox">inbox</a>.</p></section>`,

  checkout: () => shop.count() === 0 ? views.cart() : `
    <section class="narrow"><h1>Checkout</h1>${summary(false)}
      <form id="order"><p class="hint">Nothing is charged and nothing is shipped.</p>
        <button>Place the order</button></form></section>`,

  thanks: () => `
    <section class="narrow"><h1>Thank you</h1>
      <p>Order <code>${escape(new URLSearchParams(location.search).get("order") ?? "")}</code> is on its way to nowhere.
        No reminder will come for this cart.</p>
      <a class="button" href="/shop/">Back to the shop</a></section>`,

  pricing: () => `
    <section class="hero"><h1>Pricing</h1><p>The shop is free to visit. A membership makes it quicker.</p></section>
    <ul class="plans">${PLANS.map((plan) => `
      <li${plan.best ? ' class="best"' : ""}><h2>${plan.name}</h2>
        <p class="price">${money(plan.price)} <small>a month</small></p>
        <ul>${plan.what.map((line) => `<li>${line}</li>`).join("")}</ul>
        <a class="button${plan.best ? "" : " quiet"}" href="/shop/sign-up">Choose ${plan.name}</a></li>`).join("")}
    </ul>`,

  "sign-up": () => `
    <section class="narrow"><h1>Sign up</h1>
      <form id="sign-up">
        <label>First name <input name="first_name" autocomplete="given-name" required maxlength="60"></label>
        <label>Email <input name="email" type="email" autocomplete="email" required maxlength="200"
          placeholder="any.name@shop.example"></label>
        <label class="tick"><input name="consent" type="checkbox">
          <span id="consent-words">Write to me about things I looked at and carts I left. One click, and it stops.</span></label>
        <button>Sign up</button>
        <p class="hint">Any address will do: no mail leaves this machine.</p>
      </form></section>`,

  welcome: () => `
    <section class="narrow"><h1>Welcome${shop.person() ? `, ${escape(shop.person().first_name)}` : ""}</h1>
      <p>A mail is on its way. It arrives in the inbox, within seconds.</p>
      <p class="actions"><a class="button" href="/inbox">Open the inbox</a>
        <a class="button quiet" href="/shop/">Look around</a></p></section>`,

  missing: () => `<section class="narrow"><h1>Not here</h1><p>There is no such page. <a href="/shop/">All things</a></p></section>`,
};

const NAMES = { home: "Home", thing: "Product", cart: "Cart", checkout: "Checkout", thanks: "Thank You",
  pricing: "Pricing", "sign-up": "Sign Up", welcome: "Welcome", missing: "Not Found" };

function summary(editable) {
  const rows = shop.lines().map(({ product, quantity }) => `
    <tr><td><img src="${art(product)}" alt="" style="background:${product.tint}" width="56" height="56"></td>
      <th scope="row"><a href="/shop/things/${product.id}">${product.name}</a><small>${quantity} × ${money(product.price)}</small></th>
      <td class="sum">${money(quantity * product.price)}
        ${editable ? `<button type="button" class="plain" data-remove="${product.id}" aria-label="Remove ${product.name}">Remove</button>` : ""}</td></tr>`);
  return `<table class="lines"><tbody>${rows.join("")}</tbody>
    <tfoot><tr><th scope="row" colspan="2">Total</th><td class="sum">${money(shop.total())}</td></tr></tfoot></table>`;
}

function route() {
  const [first, id] = location.pathname.replace(/^\/shop\/?/, "").split("/");
  if (first === "") return ["home"];
  if (first === "things" && byId(id)) return ["thing", byId(id)];
  return first in views && !["home", "thing"].includes(first) ? [first] : ["missing"];
}

function draw() {
  const [name, product] = route();
  page.innerHTML = views[name](product);
  document.title = `${product?.name ?? NAMES[name]} - Pebble & Fern`;
  drawHeader();
  return [name, product];
}

function drawHeader() {
  const person = shop.person();
  document.getElementById("cart-count").textContent = shop.count();
  document.getElementById("account").innerHTML = person
    ? `<button type="button" class="plain" id="sign-out" title="${escape(person.email)}">Sign out</button>`
    : `<a href="/shop/sign-up">Sign up</a>`;
}

// A visit to a page: drawn, and told to the SDK. Drawing again after a click is not a visit.
function visit() {
  const [name, product] = draw();
  send("page", NAMES[name]);
  if (name === "thing") send("track", "Product Viewed", shop.describe(product));
  if (name === "cart" && shop.count()) shop.viewed();
  if (name === "checkout" && shop.count()) shop.checkout();
}

function go(path) {
  history.pushState(null, "", path);
  visit();
  page.focus({ preventScroll: true });
  scrollTo(0, 0);
}

document.addEventListener("click", (click) => {
  const link = click.target.closest("a");
  if (link && link.origin === location.origin && link.pathname.startsWith("/shop/") && !click.metaKey && !click.ctrlKey) {
    click.preventDefault();
    go(link.pathname);
    return;
  }
  const button = click.target.closest("button");
  if (button?.dataset.add) {
    shop.add(byId(button.dataset.add));
    drawHeader();
    document.getElementById("said").innerHTML = 'It is in your <a href="/shop/cart">cart</a>.';
  } else if (button?.dataset.remove) {
    shop.remove(byId(button.dataset.remove));
    draw();
  } else if (button?.id === "sign-out") {
    shop.signOut();
    go("/shop/");
  }
});

document.addEventListener("submit", (submission) => {
  submission.preventDefault();
  const form = submission.target;
  if (form.id === "order") {
    go(`/shop/thanks?order=${shop.order()}`);
  } else if (form.id === "sign-up") {
    const words = document.getElementById("consent-words").textContent;
    shop.signUp(form.first_name.value.trim(), form.email.value.trim(), form.consent.checked ? words : "");
    go("/shop/welcome");
  }
});

addEventListener("popstate", visit);
visit();
