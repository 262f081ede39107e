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
let fresh = Date.now();
// A form on its way leads to another page: loading this one again would cut it off.
let leaving = false;
let stays = null;
const parts = () => document.querySelectorAll('[data-part]');
async function refresh() {
  // What answers a form can not be asked for again: its address has another page, or none.
  if (leaving || !document.body.dataset.live || parts().length === 0) return;
  if (asked) { again = true; return; }
  asked = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: 'text/html' }, credentials: 'same-origin', signal: AbortSignal.timeout(10000) });
    if (leaving) return;
    if (answer.redirected && new URL(answer.url).pathname !== location.pathname) { location.reload(); return; }
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    showTimes(page);
    for (const part of parts()) {
      const other = page.getElementById(part.id);
      if (!other) continue;
      // Nobody loses what he is typing.
      const typed = [...part.querySelectorAll('input, textarea')].some((field) => field.value !== field.defaultValue);
      if (typed || (part.contains(document.activeElement) && document.activeElement.matches('input, textarea, select'))) continue;
      const open = [...part.querySelectorAll('details[open]')].map(named);
      for (const details of other.querySelectorAll('details')) details.open = open.includes(named(details));
      if (part.innerHTML !== other.innerHTML || part.className !== other.className) {
        const focused = part.contains(document.activeElement) ? whereabouts(document.activeElement) : null;
        part.className = other.className;
        // A sentence that did not change is not read out again.
        const spoken = (root) => root.querySelector('[aria-live]');
        if (spoken(part) && spoken(other) && spoken(part).innerHTML === spoken(other).innerHTML) spoken(other).replaceWith(spoken(part));
        part.replaceChildren(...other.childNodes);
        if (focused) [...part.querySelectorAll('a, button, summary')].find((one) => whereabouts(one) === focused)?.focus();
      }
    }
    fresh = Date.now();
    said(true);
  } catch {
    if (!leaving) said(false);
  } finally {
    asked = null;
    if (again) { again = false; soon(500); }
  }
}

// What a link, a button or something to open is about, to be found again when it was made anew.
function whereabouts(one) {
  if (one.matches('a')) return 'a ' + one.getAttribute('href');
  if (one.matches('summary')) return 'summary ' + named(one.parentElement);
  return one.tagName + ' ' + one.form?.getAttribute('action') + ' ' + one.name + ' ' + one.value;
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
      if (lost === null) lost = setTimeout(() => { lost = null; said(false); }, 3000);
      if (source.readyState === EventSource.CLOSED) setTimeout(() => { open(); refresh(); }, 5000);
    };
    for (const kind of ['hello', 'report', 'message', 'notification', 'alarm', 'settings', 'membership', 'refused', 'reset', 'left']) {
      source.addEventListener(kind, () => soon(100));
    }
    source.addEventListener('reading', () => soon(5000));
  };
  open();
  // Ages of readings go on, also when nothing happens; and what is shown may not be old without saying so.
  const look = () => {
    if (document.hidden) return;
    if (parts().length > 0 && Date.now() - fresh > 90000) said(false);
    soon(0);
  };
  setInterval(look, 60000);
  document.addEventListener('visibilitychange', look);
  addEventListener('offline', () => said(false));
  addEventListener('online', () => soon(0));
}

function bytes(text) {
  const plain = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

// What is kept on this device. Some browsers keep nothing.
const keep = (name, value) => {
  try { if (value) localStorage.setItem(name, value); else localStorage.removeItem(name); } catch { /* not kept */ }
};
const kept = (name) => { try { return localStorage.getItem(name); } catch { return null; } };

// The number of this device, without which the button of the list is left, and where its notices go.
// And whose they are.
const [device, place, owner] = ['carebot-push-device', 'carebot-push-place', 'carebot-push-account'];
const remember = (id, endpoint) => { keep(device, id); keep(place, endpoint); keep(owner, id && document.body.dataset.signedIn); };
const remembered = () => kept(device);

async function subscribe(worker) {
  const key = (await (await fetch('/v1/push/key')).json()).result;
  const made = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: bytes(key.applicationServerKey) });
  const { endpoint, keys } = made.toJSON();
  const answer = await fetch('/v1/push/subscriptions', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ endpoint, keys, label: navigator.platform || null }),
  });
  if (!answer.ok) { await made.unsubscribe(); throw new Error(String(answer.status)); }
  remember((await answer.json()).result.id, endpoint);
}

const forget = (id) =>
  fetch('/v1/push/subscriptions/' + encodeURIComponent(id), { method: 'DELETE', keepalive: true }).catch(() => {});

// Push services end subscriptions, or put others in their place: the notices of whoever wants them go to the new one.
async function renewPush(worker) {
  const id = remembered();
  if (id === null || !('PushManager' in window) || Notification.permission !== 'granted') return;
  // Somebody else who is signed in here now has asked for none.
  if (kept(owner) !== document.body.dataset.signedIn) return;
  const made = await worker.pushManager.getSubscription();
  if (made?.endpoint === kept(place)) return;
  await subscribe(worker);
  if (remembered() !== id) await forget(id);
}

// Nothing is shown on this device any more.
async function stopPush() {
  const worker = await navigator.serviceWorker?.getRegistration('/app/');
  await (await worker?.pushManager?.getSubscription())?.unsubscribe();
  // Without its number the server learns from the push service that there is nobody, at the next notice.
  const id = remembered();
  if (id) await forget(id);
  remember(null, null);
}

// Who signs out leaves no notices behind for whoever has the device next.
function stopPushBeforeSigningOut() {
  addEventListener('submit', async (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.getAttribute('action') !== '/app/sign-out' || remembered() === null) return;
    event.preventDefault();
    const soon = new Promise((resolve) => { setTimeout(resolve, 2000); });
    await Promise.race([stopPush().catch(() => {}), soon]);
    form.submit();
  });
}

async function offerPush() {
  const box = document.querySelector('[data-push]');
  if (!box || !('serviceWorker' in navigator) || !('PushManager' in window)) return;
  box.hidden = false;
  const [on, off, words] = ['[data-push-on]', '[data-push-off]', '[data-push-said]'].map((what) => box.querySelector(what));
  const worker = await navigator.serviceWorker.ready;
  // It is on if the server knows it, too: it forgets devices that take nothing, and whose subscription somebody ended elsewhere.
  const show = async () => {
    const made = await worker.pushManager.getSubscription();
    const known = made && ((await (await fetch('/v1/push/subscriptions')).json()).result ?? []);
    const isOn = Boolean(made) && (remembered() === null || known.some((one) => String(one.id) === remembered()));
    on.hidden = isOn;
    off.hidden = !isOn;
  };
  on.addEventListener('click', async () => {
    try {
      if (await Notification.requestPermission() !== 'granted') { words.textContent = words.dataset.denied; return; }
      // One that is left over may be of another account, or of a key that is gone.
      await (await worker.pushManager.getSubscription())?.unsubscribe();
      await subscribe(worker);
      location.reload();
    } catch {
      words.textContent = words.dataset.failed;
    }
  });
  off.addEventListener('click', async () => {
    await stopPush();
    location.reload();
  });
  await show();
}

// Sent once, however often somebody presses; what takes its time says so.
function sendOnce() {
  addEventListener('submit', (event) => {
    if (event.target.dataset.sent) { event.preventDefault(); return; }
    if (event.target.method !== 'post') return;
    event.target.dataset.sent = 'yes';
    leaving = true;
    // What is saved as a file leads nowhere.
    clearTimeout(stays);
    stays = setTimeout(() => { leaving = false; soon(0); }, 30000);
    event.submitter?.setAttribute('aria-busy', 'true');
  });
  // Who comes back to the page may send it again.
  addEventListener('pageshow', () => {
    leaving = false;
    for (const form of document.forms) delete form.dataset.sent;
  });
}

// Many homes: j and k or the arrows go from line to line, Enter opens one, / leads to the search.
function moveInRows() {
  const rows = document.querySelector('[data-rows]');
  if (!rows) return;
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches('input, textarea, select')) return;
    const inside = rows.contains(document.activeElement);
    const step = { j: 1, k: -1, ...(inside ? { ArrowDown: 1, ArrowUp: -1 } : {}) }[event.key];
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
    // Pressing the enter key would press it, even hidden.
    const button = province.form.querySelector('[name=choose]');
    const offer = (is) => { button.hidden = !is; button.disabled = !is; };
    offer(false);
    const first = district.options[0];
    first.textContent = district.dataset.choose;
    province.addEventListener('change', async () => {
      district.replaceChildren(first);
      const chosen = province.value;
      if (!chosen) return;
      const answer = await fetch('/tools/sub-region/' + encodeURIComponent(chosen)).catch(() => null);
      const all = answer?.ok ? (await answer.json()).result : null;
      if (province.value !== chosen) return;
      if (!all) { offer(true); return; }
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
sendOnce();
stopPushBeforeSigningOut();
const opened = location.hash ? document.getElementById(location.hash.slice(1)) : null;
if (opened?.matches('details')) opened.open = true;
moveInRows();
for (const back of document.querySelectorAll('[data-back]')) {
  back.addEventListener('click', (event) => { event.preventDefault(); history.back(); });
}
if ('serviceWorker' in navigator) {
  const ready = navigator.serviceWorker.register('/app/sw.js', { scope: '/app/' }).then(() => navigator.serviceWorker.ready);
  ready.then((worker) => renewPush(worker).catch(() => {})).then(offerPush, () => {});
}
