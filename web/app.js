// What a page gets beyond what it can do without a script: it stays as things are now, shows times in the visitor's zone, and
// can be told of alarms on this device.
'use strict';

const korea = 'Asia/Seoul';
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

// Times come in Korea's; who is elsewhere sees his own.
function showTimes(root) {
  if (!zone || zone === korea) return;
  const day = (date) => date.toLocaleDateString('en-CA');
  for (const time of root.querySelectorAll('time[data-time]')) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const form = { hour: '2-digit', minute: '2-digit', hour12: false };
    if (day(at) !== day(new Date())) Object.assign(form, { month: 'short', day: 'numeric' });
    time.title = time.textContent + ' (KST)';
    time.textContent = at.toLocaleString(document.documentElement.lang, form);
  }
}

// Takes the parts of this page that have changed from the page itself.
let asked = null;
let again = false;
async function refresh() {
  if (asked) { again = true; return; }
  asked = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: 'text/html' }, credentials: 'same-origin' });
    if (answer.redirected && new URL(answer.url).pathname !== location.pathname) { location.reload(); return; }
    if (!answer.ok) throw new Error(String(answer.status));
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
    showTimes(fresh);
    for (const part of document.querySelectorAll('[data-part]')) {
      const other = fresh.getElementById(part.id);
      if (!other) continue;
      // Nobody loses what he is typing.
      const typed = [...part.querySelectorAll('input, textarea')].some((field) => field.value !== field.defaultValue);
      if (typed || (part.contains(document.activeElement) && document.activeElement.matches('input, textarea, select'))) continue;
      const open = [...part.querySelectorAll('details[open]')].map(named);
      for (const details of other.querySelectorAll('details')) details.open = open.includes(named(details));
      if (part.innerHTML !== other.innerHTML || part.className !== other.className) {
        const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
        part.className = other.className;
        part.innerHTML = other.innerHTML;
        if (focused) part.querySelector('a[href="' + CSS.escape(focused) + '"]')?.focus();
      }
    }
    said(true);
  } catch {
    said(false);
  } finally {
    asked = null;
    if (again) { again = false; soon(500); }
  }
}

// What somebody has opened, such as a picture, stays open: it is known by what it belongs to.
function named(details) {
  const whose = details.closest('article, li')?.querySelector('a')?.getAttribute('href');
  return whose + ' ' + details.querySelector('summary')?.textContent;
}

// What is urgent does not wait for what is not.
let timer = null;
let due = Infinity;
function soon(delay) {
  const at = performance.now() + delay;
  if (at >= due) return;
  clearTimeout(timer);
  due = at;
  timer = setTimeout(() => { due = Infinity; refresh(); }, delay);
}

// Says honestly when what is shown may not be how it is.
function said(isConnected) {
  const link = document.getElementById('link');
  if (link) link.hidden = isConnected;
}

function follow() {
  const address = document.body.dataset.live;
  if (!address || !document.body.dataset.signedIn) return;
  let source = null;
  let lost = null;
  const open = () => {
    source = new EventSource(address);
    source.onopen = () => { clearTimeout(lost); lost = null; said(true); };
    source.onerror = () => {
      if (lost === null) lost = setTimeout(() => said(false), 3000);
      if (source.readyState === EventSource.CLOSED) setTimeout(() => { open(); refresh(); }, 5000);
    };
    for (const kind of ['report', 'message', 'notification', 'alarm', 'settings', 'membership', 'refused', 'reset', 'left']) {
      source.addEventListener(kind, () => soon(100));
    }
    source.addEventListener('reading', () => soon(5000));
  };
  open();
  // Ages of readings go on, also when nothing happens.
  setInterval(() => { if (!document.hidden) soon(0); }, 60000);
  document.addEventListener('visibilitychange', () => { if (!document.hidden) soon(0); });
  addEventListener('offline', () => said(false));
  addEventListener('online', () => soon(0));
}

function bytes(text) {
  const plain = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

async function offerPush() {
  const box = document.querySelector('[data-push]');
  if (!box || !('serviceWorker' in navigator) || !('PushManager' in window)) return;
  box.hidden = false;
  const [on, off, words] = ['[data-push-on]', '[data-push-off]', '[data-push-said]'].map((what) => box.querySelector(what));
  const worker = await navigator.serviceWorker.ready;
  const show = async () => {
    const known = await worker.pushManager.getSubscription();
    on.hidden = known !== null;
    off.hidden = known === null;
  };
  on.addEventListener('click', async () => {
    try {
      if (await Notification.requestPermission() !== 'granted') { words.textContent = words.dataset.denied; return; }
      const key = (await (await fetch('/v1/push/key')).json()).result;
      const made = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(key.application_server_key) });
      const { endpoint, keys } = made.toJSON();
      const answer = await fetch('/v1/push/subscriptions', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ endpoint, keys, label: navigator.platform || null }),
      });
      if (!answer.ok) { await made.unsubscribe(); throw new Error(String(answer.status)); }
      location.reload();
    } catch {
      words.textContent = words.dataset.failed;
    }
  });
  off.addEventListener('click', async () => {
    await (await worker.pushManager.getSubscription())?.unsubscribe();
    await show();
  });
  await show();
}

// Many homes: j and k or the arrows go from line to line, Enter opens one, / leads to the search.
function moveInRows() {
  const rows = document.querySelector('[data-rows]');
  if (!rows) return;
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches('input, textarea, select')) return;
    const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
    if (event.key === '/') {
      event.preventDefault();
      document.querySelector('[data-search]')?.focus();
    } else if (step) {
      const links = [...rows.querySelectorAll('th a')];
      const at = links.findIndex((link) => link.closest('tr').contains(document.activeElement));
      const next = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : at + step];
      if (!next) return;
      event.preventDefault();
      next.focus();
    }
  });
}

// The districts of a province, as soon as it is chosen. Without a script a button shows them.
function linkRegions() {
  for (const province of document.querySelectorAll('select[data-province]')) {
    const district = province.form.elements.district;
    province.form.querySelector('[name=choose]').hidden = true;
    const first = district.options[0];
    first.textContent = district.dataset.choose;
    province.addEventListener('change', async () => {
      district.replaceChildren(first);
      const chosen = province.value;
      if (!chosen) return;
      const answer = await fetch('/tools/sub-region/' + encodeURIComponent(chosen)).catch(() => null);
      const all = answer?.ok ? (await answer.json()).result : null;
      if (province.value !== chosen) return;
      if (!all) { province.form.querySelector('[name=choose]').hidden = false; return; }
      const names = all.filter((region) => region.main_region === chosen).map((region) => region.sub_region_name);
      for (const name of names) district.append(new Option(name, name));
    });
  }
}

// A cookie for https is dropped here: better said than a form that comes back again and again.
const insecure = document.getElementById('insecure');
if (insecure) insecure.hidden = !document.body.dataset.secure || window.isSecureContext;

showTimes(document);
follow();
linkRegions();
moveInRows();
for (const back of document.querySelectorAll('[data-back]')) {
  back.addEventListener('click', (event) => { event.preventDefault(); history.back(); });
}
if ('serviceWorker' in navigator) {
  navigator.serviceWorker.register('/app/sw.js', { scope: '/app/' }).then(offerPush, () => {});
}
