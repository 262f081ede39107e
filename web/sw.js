// Notifications, and an honest page without a connection. No page about a person is ever kept.
'use strict';

const version = '@VERSION@';
const kept = [
  '/app/offline',
  '/app/static/style.css?v=' + version,
  '/app/static/app.js?v=' + version,
  '/app/static/icon.svg?v=' + version,
];

self.addEventListener('install', (event) => {
  event.waitUntil(caches.open(version).then((cache) => cache.addAll(kept)).then(() => self.skipWaiting()));
});

self.addEventListener('activate', (event) => {
  const drop = async () => {
    for (const name of await caches.keys()) if (name !== version) await caches.delete(name);
    await self.clients.claim();
  };
  event.waitUntil(drop());
});

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET') return;
  if (request.mode === 'navigate') {
    event.respondWith(fetch(request).catch(() => caches.match('/app/offline')));
  } else if (new URL(request.url).pathname.startsWith('/app/static/')) {
    event.respondWith(caches.match(request).then((found) => found ?? fetch(request)));
  }
});

// The picture of an alarm as this server has it. Robots name it with whatever host they know.
function pictureOf(alarm) {
  const at = String(alarm?.image_url ?? '').indexOf('/access/');
  return at < 0 ? undefined : alarm.image_url.slice(at) + '?w=640';
}

self.addEventListener('push', (event) => {
  let told = {};
  try { told = event.data.json(); } catch { /* Something that is no notice of ours: said without words. */ }
  const options = {
    body: told.body ?? '',
    tag: told.topic,
    renotify: Boolean(told.topic),
    requireInteraction: told.urgent === true,
    icon: '/app/static/icon-192.png?v=' + version,
    badge: '/app/static/icon-192.png?v=' + version,
    data: { link: told.link },
  };
  const image = pictureOf(told.data?.alarm);
  if (image) options.image = image;
  event.waitUntil(self.registration.showNotification(told.title ?? 'carebot', options));
});

self.addEventListener('notificationclick', (event) => {
  event.notification.close();
  const link = event.notification.data?.link;
  const place = link && new URL(link, self.location.origin).origin === self.location.origin ? link : '/app/';
  event.waitUntil(self.clients.openWindow(place));
});
