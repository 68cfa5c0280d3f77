// Accounts, where there are others than the global one. The tables below show the one that is chosen.

const ACCOUNTS_MAX = 50;
const accounts = new Asker(byId("accounts"), () => ask("accstatz", { unused: 1, limit: ACCOUNTS_MAX }), showAccounts);
let accountRows = new Map();

function showAccounts({ account_statz: all }) {
  const [first] = all;
  byId("accounts").hidden = all.length === 1 && first.acc === "$G" && !wanted.acc;
  const fresh = new Map(all.map((one) => [one.acc, accountRows.get(one.acc) ?? newAccount(one)]));
  for (const one of all) {
    const cells = [one.conns, one.num_subscriptions, one.received.msgs, one.sent.msgs, one.slow_consumers];
    // The name of one that is known by a key may be another by now.
    nameAccount(fresh.get(one.acc), one);
    for (const [at, number] of cells.entries()) fresh.get(one.acc).cells[at + 1].textContent = at < 2 ? exact(number) : short(number);
  }
  place(byId("a-rows"), [...fresh.values()]);
  accountRows = fresh;
  say("a-place", all.length < ACCOUNTS_MAX ? "" : `The first ${ACCOUNTS_MAX} accounts. Type the name of another one.`);
  markAccount();
}

/// Shows the name beside the key, where the two differ.
function nameAccount(row, { acc, name }) {
  const label = row.cells[0].lastChild;
  label.textContent = name && name !== acc ? name : "";
}

function newAccount({ acc: name }) {
  const button = make("button", "", name);
  button.type = "button";
  button.addEventListener("click", () => chooseAccount(wanted.acc === name ? "" : name));
  const numbers = ["number", "number", "number", "number", "number wide"];
  return make("tr", "", make("td", "", button, make("small", "")), ...numbers.map((className) => make("td", className)));
}

/// What an account of the table is known by, of which this may be the name.
function keyOf(text) {
  const found = accountRows.has(text) ? undefined : [...accountRows].find(([, row]) => row.cells[0].lastChild.textContent === text);
  return found && text ? found[0] : text;
}

function chooseAccount(name) {
  byId("a-name").value = name;
  want({ acc: name });
  asked.acc = name;
  table.now();
  tree.now();
  markAccount();
}

function markAccount() {
  for (const [name, row] of accountRows) row.cells[0].firstChild.ariaPressed = `${name === wanted.acc}`;
}

byId("a-form").addEventListener("submit", (event) => event.preventDefault());
byId("a-name").addEventListener("change", (event) => chooseAccount(keyOf(event.target.value.trim())));
