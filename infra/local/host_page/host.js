// What PracBill's front end does for the page: gives it tokens, and keeps its view in the address.
const page = document.querySelector('pracbill-mailchimp');
const choices = document.querySelector('form').elements;
for (const select of choices) select.value = select.dataset.chosen;

page.getToken = async ({ refresh }) => {
  const answer = await fetch('/token', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ access: choices.access.value, refresh }),
  });
  if (!answer.ok) throw new Error('not signed in');
  return (await answer.json()).token;
};

// Each view is an entry of the browser's history, so that Back leads to the view before and not out of the page.
const addressOf = (view, item) => `#${new URLSearchParams({ view, ...(item === null ? {} : { item }) })}`;
const show = (address) => {
  const place = new URLSearchParams(address.slice(1));
  page.view = place.get('view') ?? 'overview';
  page.item = place.get('item');
};
show(location.hash);
page.addEventListener('pbm-view', ({ detail: { view, id } }) => history.pushState(null, '', addressOf(view, id)));
addEventListener('popstate', async () => {
  const wanted = location.hash;
  const mayLeave = await page.mayLeave();
  if (mayLeave) show(wanted);
  // Whoever goes on editing stays at the address of what is shown.
  const shown = mayLeave ? wanted : addressOf(page.view, page.item);
  if (shown !== location.hash) history.pushState(null, '', shown || location.pathname + location.search);
});

choices.access.addEventListener('change', () => {
  const query = new URLSearchParams({ access: choices.access.value, theme: choices.theme.value });
  location.search = query;
});
choices.theme.addEventListener('change', () => {
  page.theme = choices.theme.value;
  document.documentElement.dataset.theme = choices.theme.value;
});
