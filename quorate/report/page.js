(() => {
  "use strict";
  const $ = (s, e = document) => e.querySelector(s),
    $$ = (s, e = document) => [...e.querySelectorAll(s)],
    root = document.documentElement;
  const make = (tag, text, into) => {
    const e = document.createElement(tag);
    if (text != null) e.textContent = text; // as text: names come from data
    if (into) into.append(e);
    return e;
  };
  // the same digits as quorate.report.numbers.number
  const number = (v) => {
    if (!v) return "0";
    const sign = v < 0 ? "−" : "",
      [m, p] = Math.abs(v).toExponential(2).split("e"),
      e = +p;
    if (e < -2 || e > 3) return sign + m + "×10" + String(e).replace(/./g, (c) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] || "⁻");
    return sign + (+(m + "e" + e)).toFixed(Math.max(0, 2 - e));
  };
  const place = (v) =>
    Number.isInteger(v)
      ? (v < 0 ? "−" : "") + String(Math.abs(v)).replace(/\d(?=(\d{3})+$)/g, Math.abs(v) > 9999 ? "$&\u202f" : "$&")
      : number(v);

  // theme: the system decides until the reader does
  const modes = ["auto", "light", "dark"];
  let mode = Math.max(0, modes.indexOf(root.dataset.theme));
  $("#theme").onclick = (e) => {
    mode = (mode + 1) % 3;
    if (mode) root.dataset.theme = modes[mode];
    else delete root.dataset.theme;
    e.target.textContent = "Theme: " + modes[mode];
  };

  const tip = $("#tip"),
    live = $("#live");
  const beside = (svg, x, y) => {
    const r = svg.getBoundingClientRect(),
      k = r.width / svg.viewBox.baseVal.width,
      px = r.left + x * k + scrollX;
    tip.hidden = false;
    tip.style.left = "0";
    const w = tip.offsetWidth,
      right = scrollX + root.clientWidth - 8;
    let left = px + 14;
    if (left + w > right) left = px - w - 14;
    tip.style.left = Math.max(scrollX + 8, Math.min(left, right - w)) + "px";
    tip.style.top = r.top + y * k + scrollY + "px";
  };
  const at = ([low, high, log, start, end], v) => {
    if (log) [low, high, v] = [low, high, v].map(Math.log10);
    return start + ((v - low) / (high - low)) * (end - start);
  };

  for (const svg of $$("[data-chart]")) {
    const d = JSON.parse($("script", svg).textContent),
      cross = $(".cross", svg),
      xs = d.x.map((v) => at(d.ax, v));
    const dots = d.series.map((s) => {
      const c = document.createElementNS(svg.namespaceURI, "circle");
      c.setAttribute("r", 4);
      c.setAttribute("class", "dot " + s.c);
      cross.append(c);
      return c;
    });
    let i = -1;
    const show = (k) => {
      i = Math.max(0, Math.min(d.x.length - 1, k));
      cross.removeAttribute("hidden");
      $(".xline", cross).setAttribute("transform", `translate(${xs[i]} 0)`);
      d.series.forEach((s, j) => {
        dots[j].style.display = s.y[i] == null ? "none" : "";
        if (s.y[i] == null) return;
        dots[j].setAttribute("cx", xs[i] + s.dx);
        dots[j].setAttribute("cy", at(d.ay, s.y[i]));
      });
      const rows = d.series.filter((s) => s.y[i] != null).sort((a, b) => b.y[i] - a.y[i]),
        head = `${d.xname} ${place(d.x[i])}`;
      tip.replaceChildren();
      make("b", head, tip);
      const table = make("table", null, tip);
      for (const s of rows) {
        const tr = make("tr", null, table),
          td = make("td", null, tr);
        make("i", null, td).style.background = `var(--${s.c})`;
        td.append(s.n);
        make("td", number(s.y[i]), tr);
        if (s.lo) make("td", `[${number(s.lo[i])}, ${number(s.hi[i])}]`, tr);
      }
      beside(svg, xs[i], d.ay[4] + 10);
      live.textContent = head + ": " + rows.map((s) => `${s.n} ${number(s.y[i])}`).join(", ");
    };
    const hide = () => {
      cross.setAttribute("hidden", "");
      tip.hidden = true;
      i = -1;
    };
    svg.addEventListener("pointermove", (e) => {
      const r = svg.getBoundingClientRect(),
        x = ((e.clientX - r.left) / r.width) * svg.viewBox.baseVal.width;
      let best = 0;
      xs.forEach((p, k) => {
        if (Math.abs(p - x) < Math.abs(xs[best] - x)) best = k;
      });
      show(best);
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (e) => {
      const by = e.shiftKey ? 10 : 1,
        last = d.x.length - 1,
        k = { ArrowRight: i + by, ArrowLeft: i < 0 ? last : i - by, Home: 0, End: last }[e.key];
      if (k != null) {
        e.preventDefault();
        show(k);
      } else if (e.key === "Escape") hide();
    });
  }

  // cells in rows and columns: heat maps, space-time diagrams
  for (const svg of $$("[data-grid]")) {
    const stops = $$(".stop", svg),
      across = +svg.dataset.grid;
    let i = -1;
    const hide = () => {
      if (i >= 0) stops[i].classList.remove("at");
      i = -1;
      tip.hidden = true;
    };
    const show = (k, byKey) => {
      if (k === i) return;
      hide();
      i = k;
      const stop = stops[i],
        { x, y, width, height } = $(".hit", stop).getBBox();
      stop.classList.add("at");
      if (byKey) stop.scrollIntoView({ block: "nearest", inline: "nearest" });
      tip.textContent = live.textContent = stop.dataset.long;
      beside(svg, x + width / 2, y + height + 6);
    };
    svg.addEventListener("pointermove", (e) => {
      const stop = e.target.closest(".stop");
      if (stop) show(stops.indexOf(stop));
      else hide();
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    svg.addEventListener("keydown", (e) => {
      const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: across, ArrowUp: -across }[e.key],
        k = { Home: 0, End: stops.length - 1 }[e.key] ?? (by && (i < 0 ? 0 : i + by));
      if (k != null) {
        e.preventDefault();
        if (stops[k]) show(k, true);
      } else if (e.key === "Escape") hide();
    });
  }

  // a figure on its own: styles are written into the copy, so it opens anywhere
  const props =
    "fill stroke stroke-width stroke-dasharray stroke-linejoin opacity font-family font-size font-weight paint-order".split(
      " ",
    );
  for (const figure of $$("figure")) {
    const button = make("button", "SVG", figure),
      svg = $("svg", figure);
    button.className = "save";
    button.type = "button";
    button.title = "Save this figure";
    button.setAttribute("aria-label", "Save figure as SVG: " + $("figcaption b", figure).textContent);
    button.onclick = () => {
      const copy = svg.cloneNode(true),
        from = $$("*", svg);
      $$("*", copy).forEach((e, k) => {
        const s = getComputedStyle(from[k]);
        e.setAttribute("style", props.map((p) => p + ":" + s.getPropertyValue(p)).join(";"));
      });
      $$(".cross, script", copy).forEach((e) => e.remove());
      copy.style.background = getComputedStyle(root).getPropertyValue("--bg");
      const link = make("a"),
        text = new XMLSerializer().serializeToString(copy);
      link.href = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
      link.download = figure.id + ".svg";
      link.click();
      URL.revokeObjectURL(link.href);
    };
  }

  const copy = $("#copy");
  if (copy)
    copy.onclick = async () => {
      try {
        await navigator.clipboard.writeText($("#cmd").textContent);
        copy.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren($("#cmd"));
        copy.textContent = "Selected";
      }
    };

  // the section being read is marked in the header
  const spy = new IntersectionObserver(
    (seen) => {
      for (const e of seen)
        if (e.isIntersecting)
          $$(".bar nav a").forEach((a) =>
            a.hash === "#" + e.target.id ? a.setAttribute("aria-current", "true") : a.removeAttribute("aria-current"),
          );
    },
    { rootMargin: "-20% 0px -70%" },
  );
  $$("main section[id]").forEach((s) => spy.observe(s));
  root.dataset.ready = "1";
})();
