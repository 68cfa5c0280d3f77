// Subscriptions as a tree by token. A branch is made when it is opened.

const SUBSCRIPTIONS_MAX = 2000;
/// Most children that a branch shows.
const CHILDREN_MAX = 200;
const asked = { how: "find", subject: "", acc: "" };
/// The branches that are open, by their subjects.
const open = new Set();
/// Elements that are shown, to be used again; and those of the answer that is being shown.
let kept = new Map();
let fresh = new Map();
const tree = new Asker(byId("subscriptions"), askSubscriptions, showSubscriptions);

async function askSubscriptions() {
  try {
    return await ask("subsz", { subs: 1, limit: SUBSCRIPTIONS_MAX, acc: asked.acc, [asked.how]: asked.subject });
  } catch (error) {
    // An invalid subject for a message.
    if (error.message.startsWith("400")) return { problem: error.message.slice(5) };
    throw error;
  }
}

function showSubscriptions({ problem, subscriptions_list: list = [], total = 0 }) {
  const root = { children: new Map(), own: [], count: 0, messages: 0 };
  for (const one of list) {
    let node = root;
    for (const token of one.subject.split(".")) {
      if (!node.children.has(token)) node.children.set(token, { children: new Map(), own: [], count: 0, messages: 0 });
      node = node.children.get(token);
      node.count += 1;
      node.messages += one.msgs;
    }
    node.own.push(one);
  }
  fresh = new Map();
  place(byId("s-tree"), branches(root, ""));
  kept = fresh;
  const cut = total > list.length ? `The first ${exact(list.length)} of ${exact(total)} subscriptions. Search for part of a subject to see others.` : null;
  say("s-place", problem ?? cut ?? (total === 1 ? "1 subscription." : `${exact(total)} subscriptions.`));
}

function branches(node, before) {
  const sorted = [...node.children].sort((a, b) => b[1].count - a[1].count || a[0].localeCompare(b[0]));
  const shown = sorted.slice(0, CHILDREN_MAX).map(([token, child]) => branch(token, child, before ? `${before}.${token}` : token));
  if (sorted.length > CHILDREN_MAX) shown.push(make("div", "leaf muted", `and ${exact(sorted.length - CHILDREN_MAX)} more tokens`));
  return shown;
}

/// The element that stands for `key`, made if there is none.
function element(key, create) {
  const found = fresh.get(key) ?? kept.get(key) ?? create();
  fresh.set(key, found);
  return found;
}

function branch(token, node, path) {
  const details = element(path, () => newBranch(token, path));
  details.node = node;
  const count = node.count === 1 ? "1 subscription" : `${exact(node.count)} subscriptions`;
  details.firstChild.lastChild.textContent = `${count} · ${short(node.messages)} delivered`;
  if (open.has(path)) {
    grow(details, path);
    details.open = true;
  }
  return details;
}

function newBranch(token, path) {
  const name = make("code", token === "*" || token === ">" ? "wild" : "", token);
  const details = make("details", "", make("summary", "", name, " ", make("span", "muted")));
  details.dataset.path = path;
  details.addEventListener("toggle", () => {
    if (!details.open) return void open.delete(path);
    open.add(path);
    grow(details, path);
  });
  return details;
}

function grow(details, path) {
  place(details, [details.firstChild, ...branches(details.node, path), ...leaves(details.node.own, path)]);
}

function leaves(own, path) {
  const shown = own.slice(0, CHILDREN_MAX).map((one) => {
    const leaf = element(`${path} ${one.cid} ${one.sid}`, () => newLeaf(one.cid));
    leaf.lastChild.textContent = ` ${toldOf(one)}`;
    return leaf;
  });
  if (own.length > CHILDREN_MAX) shown.push(make("div", "leaf muted", `and ${exact(own.length - CHILDREN_MAX)} more`));
  return shown;
}

function newLeaf(cid) {
  const button = make("button", "", `client ${cid}`);
  button.type = "button";
  button.addEventListener("click", () => showClient(cid));
  return make("div", "leaf", button, make("span"));
}

byId("s-form").addEventListener("submit", (event) => event.preventDefault());
byId("s-subject").addEventListener("input", (event) => {
  asked.subject = event.target.value.trim();
  tree.soon();
});
byId("s-how").addEventListener("change", (event) => {
  asked.how = event.target.value;
  tree.now();
});
