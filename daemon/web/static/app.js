// Keys, live updates and small comforts. Everything here has a form or a link that does the same.
"use strict";

const $ = (selector, root) => (root || document).querySelector(selector);
const $$ = (selector, root) => Array.from((root || document).querySelectorAll(selector));

// -- theme ----------------------------------------------------------------------------------------

function turnTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
}

// -- keys -----------------------------------------------------------------------------------------

function typing(target) {
  return target.closest("input:not([type=checkbox]):not([type=radio]), textarea, select") !== null;
}

function press(key) {
  // The visible control that says it answers to this key.
  const found = $$(`[data-key="${CSS.escape(key)}"]`).find((one) => one.offsetParent !== null);
  if (!found || found.disabled) return false;
  if (found.matches("input, textarea, select, summary, [data-focus]")) found.focus();
  if (!found.matches("input[type=search], textarea")) found.click();
  return true;
}

function rows() {
  return $$("[data-row]");
}

function selectedRow() {
  return $("[data-row][aria-current=true]");
}

function moveTo(row) {
  if (!row) return;
  rows().forEach((one) => one.removeAttribute("aria-current"));
  row.setAttribute("aria-current", "true");
  row.scrollIntoView({ block: "nearest" });
  const link = $("a[data-open]", row);
  if (link) link.focus({ preventScroll: true });
}

function move(step) {
  const all = rows();
  if (all.length === 0) return press(step > 0 ? "j" : "k");
  const at = all.indexOf(selectedRow());
  moveTo(all[Math.min(all.length - 1, Math.max(0, at < 0 ? 0 : at + step))]);
  return true;
}

function toggleRow() {
  const box = $("input[type=checkbox]", selectedRow() || document.createElement("div"));
  if (!box || box.disabled) return false;
  box.checked = !box.checked;
  countChosen();
  return true;
}

function onKey(event) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  const dialog = $("dialog[open]");
  if (event.key === "Escape") {
    if (dialog) dialog.close();
    else if (typing(event.target)) event.target.blur();
    else closePicker();
    return;
  }
  if (dialog || typing(event.target)) return;
  const key = event.key === "A" && event.shiftKey ? "shift+a" : event.key;
  const picker = $("#reject[open]");
  let done = false;
  if (picker && /^[1-6]$/.test(key)) done = press(`reason-${key}`);
  else if (key === "j" || key === "ArrowDown") done = move(1);
  else if (key === "k" || key === "ArrowUp") done = move(-1);
  else if (key === "x") done = toggleRow();
  else if (key === "?") done = openHelp();
  else if (key === "r") done = openPicker();
  else done = press(key);
  if (done) event.preventDefault();
}

function openPicker() {
  const picker = $("#reject");
  if (!picker || picker.offsetParent === null) return false;
  picker.open = true;
  const first = $("input[type=radio]", picker);
  if (first) first.focus();
  return true;
}

function closePicker() {
  const picker = $("#reject[open]");
  if (picker) {
    picker.open = false;
    $("summary", picker).focus();
  }
}

function openHelp() {
  const help = $("#help");
  if (!help) return false;
  help.showModal();
  return true;
}

// -- the inbox ------------------------------------------------------------------------------------

function countChosen() {
  const bar = $("#bulk-bar");
  if (!bar) return;
  const chosen = $$("[data-row] input[type=checkbox]:checked").length;
  $("#chosen").textContent = String(chosen);
  bar.dataset.chosen = String(chosen);
}

function chooseClean(event) {
  const button = event.target.closest("[data-choose-clean]");
  if (!button) return;
  const boxes = $$("[data-row] input[type=checkbox]:not(:disabled)");
  const on = boxes.some((box) => !box.checked);
  boxes.forEach((box) => (box.checked = on));
  countChosen();
}

// -- live -----------------------------------------------------------------------------------------

function listen() {
  if (!$("[data-live]") || !window.EventSource) return;
  const source = new EventSource("/live");
  const tell = () => document.body.dispatchEvent(new CustomEvent("almanac:change"));
  source.addEventListener("change", tell);
  source.addEventListener("open", () => document.body.setAttribute("data-connected", "yes"));
  source.addEventListener("error", () => document.body.removeAttribute("data-connected"));
  addEventListener("pagehide", () => source.close());
}

// -- small comforts -------------------------------------------------------------------------------

function confirmSubmit(event) {
  const question = event.target.dataset && event.target.dataset.confirm;
  if (question && !window.confirm(question)) event.preventDefault();
}

function onClick(event) {
  if (event.target.closest("[data-theme-switch]")) turnTheme();
  if (event.target.closest("[data-help]")) openHelp();
  if (event.target.closest("[data-close]")) $("#help").close();
  const example = event.target.closest("[data-example]");
  if (example) {
    $("#question").value = example.textContent.trim();
    $("#question").focus();
  }
  const copy = event.target.closest("[data-copy]");
  if (copy && navigator.clipboard) navigator.clipboard.writeText(copy.dataset.copy);
  chooseClean(event);
}

function submitByKey(event) {
  // Control and return send the form that is written in.
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.form) {
    event.preventDefault();
    event.target.form.requestSubmit();
  }
}

document.addEventListener("keydown", submitByKey);
document.addEventListener("keydown", onKey);
document.addEventListener("click", onClick);
document.addEventListener("submit", confirmSubmit);
document.addEventListener("change", countChosen);
document.addEventListener("DOMContentLoaded", () => {
  listen();
  countChosen();
  const here = $(".side nav [aria-current]");
  if (here) here.parentElement.scrollLeft = here.offsetLeft - 40;
  document.documentElement.dataset.ready = "yes";
});
