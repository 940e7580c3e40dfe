// The next item, fetched while this one is read: a decision or `j` shows it without waiting for it.
// Without this, the same links and forms lead to the same pages.
"use strict";

(function () {
  let ahead = null; // {path, text} of the page behind the link to the next item
  let busy = false;
  let here = location.pathname + location.search;

  function target() {
    return document.querySelector(".item a[data-next]");
  }

  async function fetchAhead() {
    ahead = null;
    const next = target();
    if (!next) return;
    const answer = await fetch(next.href, { credentials: "same-origin" }).catch(() => null);
    if (!answer || !answer.ok || answer.redirected) return;
    const text = await answer.text();
    if (target() === next) ahead = { path: new URL(next.href).pathname, text };
  }

  // The page in place of this one, under its own address; only items are shown so.
  function show(url, text, told) {
    const page = new DOMParser().parseFromString(text, "text/html");
    const item = page.querySelector("main .item");
    if (!item) return false;
    if (told) item.querySelector(".item-top").insertAdjacentHTML("afterend", told);
    for (const place of [".side nav", "main"]) {
      document.querySelector(place).replaceWith(page.querySelector(place));
    }
    document.title = page.title;
    history.pushState(null, "", url);
    here = location.pathname + location.search;
    window.scrollTo(0, 0);
    document.querySelector("main").focus({ preventScroll: true });
    fetchAhead();
    return true;
  }

  async function decide(form, button) {
    const fields = new URLSearchParams(new FormData(form, button));
    const answer = await fetch(form.action, {
      method: "POST",
      body: fields,
      credentials: "same-origin",
      headers: ahead ? { "X-Have": ahead.path } : {},
    });
    const text = await answer.text();
    const next = answer.headers.get("X-Next");
    if (next && ahead && show(next, ahead.text, text)) {
      const badge = document.querySelector("[data-waiting]");
      if (badge) badge.textContent = Number(answer.headers.get("X-Waiting")).toLocaleString("en");
      return;
    }
    if (next) return location.assign(next);
    // Refused, or led elsewhere than to what was fetched: the answer is the page to show.
    if (!show(answer.redirected ? answer.url : location.href, text)) location.assign(answer.url);
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || !form.matches(".item form[data-leads-on]")) return;
    event.preventDefault();
    if (busy) return;
    busy = true;
    decide(form, event.submitter)
      .catch(() => HTMLFormElement.prototype.submit.call(form))
      .finally(() => (busy = false));
  });

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-next]");
    if (!link || !ahead || event.ctrlKey || event.metaKey || event.shiftKey || busy) return;
    if (new URL(link.href).pathname === ahead.path && show(link.href, ahead.text)) {
      event.preventDefault();
    }
  });

  addEventListener("popstate", () => {
    if (location.pathname + location.search !== here) location.reload(); // else: only its #part
  });
  document.addEventListener("DOMContentLoaded", fetchAhead);
})();
