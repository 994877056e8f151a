// The cart and the account, kept in the browser. A cart has an id from its first thing until it is ordered.
import { byId } from "./products.js";
import { send } from "./tracking.js";

const read = (name, fallback) => JSON.parse(localStorage.getItem(name) ?? "null") ?? fallback;
const write = (name, value) => localStorage.setItem(name, JSON.stringify(value));

export function newId(prefix) {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  return `${prefix}_${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

export const person = () => read("shop:person", null);
export const cart = () => read("shop:cart", { id: null, quantities: {} });
export const lines = () =>
  Object.entries(cart().quantities).map(([id, quantity]) => ({ product: byId(id), quantity }));
export const count = () => lines().reduce((sum, line) => sum + line.quantity, 0);
export const total = () => lines().reduce((sum, line) => sum + line.quantity * line.product.price, 0);

// The properties are those of Segment's e-commerce events.
export const describe = (product) => ({
  product_id: product.id,
  name: product.name,
  price: product.price,
  currency: "EUR",
  url: `${location.origin}/shop/things/${product.id}`,
  image_url: `${location.origin}/shop/art/${product.id}.svg`,
});
const contents = () => lines().map(({ product, quantity }) => ({ ...describe(product), quantity }));

export function add(product) {
  const now = cart();
  now.id ??= newId("cart");
  now.quantities[product.id] = (now.quantities[product.id] ?? 0) + 1;
  write("shop:cart", now);
  const cart_url = `${location.origin}/shop/cart`;
  send("track", "Product Added", { cart_id: now.id, cart_url, ...describe(product), quantity: 1 });
}

export function remove(product) {
  const now = cart();
  const quantity = now.quantities[product.id];
  delete now.quantities[product.id];
  write("shop:cart", now);
  send("track", "Product Removed", { cart_id: now.id, ...describe(product), quantity });
}

export const viewed = () => send("track", "Cart Viewed", { cart_id: cart().id, products: contents() });
export const checkout = () =>
  send("track", "Checkout Started", { cart_id: cart().id, value: total(), currency: "EUR", products: contents() });

export function order() {
  const order_id = newId("order");
  send("track", "Order Completed", {
    cart_id: cart().id, order_id, total: total(), currency: "EUR", products: contents(),
  });
  localStorage.removeItem("shop:cart");
  return order_id;
}

export function signUp(first_name, email, consentWords) {
  const user = person() ?? { id: newId("user") };
  write("shop:person", { ...user, first_name, email });
  send("identify", user.id, { email, first_name });
  send("track", "Signed Up", { method: "form", url: `${location.origin}/shop/` });
  if (consentWords) send("track", "Consent Given", { category: "marketing", words: consentWords });
}

export function signOut() {
  localStorage.removeItem("shop:person");
  localStorage.removeItem("shop:cart");
  send("reset");
}
