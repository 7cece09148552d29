// Makes a part of a page say what a fresher copy of it says, and keeps every element that is still there: so focus,
// what a person has opened or typed, and how far they have scrolled stay as they are.
"use strict";

const morph = (() => {
  const isElement = (node) => node.nodeType === Node.ELEMENT_NODE;
  const KEPT = new Set(["open", "data-fresh"]); // what a person, or this page itself, has set

  // A form in which somebody writes is theirs, also when the fresher page has no place for it any more.
  const isTheirs = (node) => isElement(node) && [...node.querySelectorAll("input[name=reason]")]
    .some((input) => input.value || input === document.activeElement);

  const alike = (one, other) => one.nodeType === other.nodeType && one.nodeName === other.nodeName
    && (one.id || "") === (other.id || "");

  const attributes = (old, fresh) => {
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !KEPT.has(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) {
      if (!KEPT.has(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
  };

  const children = (old, fresh) => {
    const byId = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
    let at = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      const known = (child.id && byId.get(child.id)) || null;
      if (known && known !== at && known.nodeName === child.nodeName) old.insertBefore(known, at);
      const here = known?.nodeName === child.nodeName ? known : at;
      if (here && alike(here, child)) {
        at = here.nextSibling;
        into(here, child);
      } else if (here && !here.id && !child.id && isElement(here) && isElement(child) && !isTheirs(here)) {
        at = here.nextSibling;
        here.replaceWith(child);
      } else {
        old.insertBefore(child, at);
      }
    }
    while (at) {
      const next = at.nextSibling;
      if (!isTheirs(at) && at.id !== "told") at.remove();
      at = next;
    }
  };

  const into = (old, fresh) => {
    if (!isElement(old)) {
      if (old.data !== fresh.data) old.data = fresh.data;
      return;
    }
    if (old.nodeName === "FORM" || old.isEqualNode(fresh)) return;
    attributes(old, fresh);
    children(old, fresh);
  };

  return into;
})();
