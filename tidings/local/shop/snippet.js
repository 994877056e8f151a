// Points Segment's browser SDK at this machine: it asks `_cdn` where to send. Calls made before it has loaded wait here.
window.analytics = Object.assign([], {
  _writeKey: document.querySelector('meta[name="write-key"]').content,
  _cdn: location.origin,
});
