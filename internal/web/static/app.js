// What pages do beyond what HTML can: copying, and saying so. Everything else works without.
"use strict";

function say(text) {
  const said = document.getElementById("said");
  if (said) {
    said.textContent = text;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => { said.textContent = ""; }, 4000);
  }
}

async function copy(button) {
  const source = document.getElementById(button.dataset.copy);
  const text = "value" in source ? source.value : source.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without https the clipboard is not to be had: select the text, so that the keyboard can copy it.
    getSelection().selectAllChildren(source);
    say("Press Ctrl+C to copy");
    return;
  }
  const label = button.textContent;
  button.textContent = "Copied";
  button.classList.add("copied");
  say((button.dataset.what || "Text") + " copied");
  setTimeout(() => { button.textContent = label; button.classList.remove("copied"); }, 2000);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) {
    copy(button);
  }
});

// Buttons for scripts only are shown to those who have them.
document.documentElement.classList.add("scripts");

// On a phone the menu is wider than the page: show where one is.
document.querySelector("nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });
