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

const place = new URLSearchParams(location.hash.slice(1));
if (place.has('view')) page.view = place.get('view');
if (place.has('item')) page.item = place.get('item');
page.addEventListener('pbm-view', ({ detail: { view, id } }) => {
  history.replaceState(null, '', `#${new URLSearchParams({ view, ...(id === null ? {} : { item: id }) })}`);
});

choices.access.addEventListener('change', () => {
  const query = new URLSearchParams({ access: choices.access.value, theme: choices.theme.value });
  location.search = query;
});
choices.theme.addEventListener('change', () => {
  page.theme = choices.theme.value;
  document.documentElement.dataset.theme = choices.theme.value;
});
