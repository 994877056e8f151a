export const PRODUCTS = [
  { id: "mug", name: "Harbour Mug", price: 24, tint: "#e3ebe6", line: "Stoneware, glazed by hand, holds a long morning.",
    more: "Thrown in small batches and glazed in the grey of low tide. Dishwasher safe, and kind to cold hands." },
  { id: "lamp", name: "Dusk Lamp", price: 89, tint: "#f3e6d8", line: "A warm light that knows when to leave.",
    more: "A brass arm, a linen shade and a dimmer that ends in darkness an hour after you forget it." },
  { id: "notebook", name: "Field Notebook", price: 18, tint: "#e8e4f0", line: "Lies flat. Takes ink. Forgives.",
    more: "160 dotted pages of 100 g paper, sewn so that the book lies flat from the first page to the last." },
  { id: "planter", name: "Fern in a Pot", price: 36, tint: "#dfeadb", line: "Hard to kill. We have tried.",
    more: "A bird's-nest fern in an unglazed terracotta pot. Wants a sip a week, and no sun at all." },
  { id: "clock", name: "Quiet Clock", price: 54, tint: "#e2e9f0", line: "Tells the time, and does not tick.",
    more: "A sweeping movement in an ash case. The only sound it makes is none." },
  { id: "tray", name: "Pocket Tray", price: 29, tint: "#f1e1de", line: "Where keys go to be found.",
    more: "A shallow tray of oiled oak for the things in your pockets. Felt below, so it lands softly." },
];

export const byId = (id) => PRODUCTS.find((product) => product.id === id);
export const money = (amount) => `€${amount}`;
export const art = (product) => `/shop/art/${product.id}.svg`;
