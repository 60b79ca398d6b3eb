(() => {
  "use strict";
  const root = document.documentElement,
    $ = (id) => document.getElementById("replay-" + id),
    scenes = JSON.parse($("heads").textContent),
    tasks = ["absent", "open", "held", "active", "done", "expired"],
    SHADE = 0.2, // how much of its colour the fullest cell takes on
    FAINT = 0.5, // the same for squares under dots
    still = matchMedia("(prefers-reduced-motion: reduce)"),
    seek = $("seek"),
    play = $("play"),
    player = $("player");
  const make = (tag, kind, into, text) => {
    const e = document.createElement(tag);
    if (kind) e.className = kind;
    if (text != null) e.textContent = text; // as text: names come from data
    into.append(e);
    return e;
  };
  const css = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim(),
    whole = (v) => String(v).replace(/\d(?=(\d{3})+$)/g, v > 9999 ? "$&\u202f" : "$&");
  let scene = null, // { stages, frames, every, start, poster, most }
    t = 0, // in frames
    last = 0,
    speed = 1,
    picked = -1,
    colour = {},
    off = new Set();

  // a stream: base64, then raw deflate; planes of bytes as quorate.report.replay describes them
  async function unpack(head) {
    const text = atob($(head.id.slice(7)).textContent),
      packed = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
    const opener = new DecompressionStream("deflate-raw"),
      opened = new Response(opener.readable).arrayBuffer(),
      writer = opener.writable.getWriter();
    writer.write(packed);
    writer.close();
    const all = new Uint8Array(await opened),
      n = head.shown;
    let o = 0;
    const take = (count, size) => {
      const v = size === 1 ? new Uint8Array(count) : size === 2 ? new Uint16Array(count) : new Uint32Array(count);
      for (let k = 0; k < size; k++, o += count) for (let i = 0; i < count; i++) v[i] |= all[o + i] << (8 * k);
      return v;
    };
    // typed arrays wrap by themselves: sums are modulo 256 or 65536
    const add = (v, before) => {
      for (let i = 0, sum = 0; i < v.length; i++) sum = v[i] = v[i] + (before ? before[i] : sum);
      return v;
    };
    const flip = (v, before) => {
      if (before) for (let i = 0; i < v.length; i++) v[i] ^= before[i];
      return v;
    };
    const d = { who: head.numbered ? take(n, 4) : null, x: [], y: [], status: [], heading: [], tasks: [], shades: [] };
    if (head.places) d.places = [take(head.places, 2), take(head.places, 2)];
    for (let f = 0; f < head.frames; f++) {
      if (!head.lattice)
        for (const v of [d.x, d.y]) v.push(add(take(n, head.bytes), v[f - 1]));
      d.status.push(flip(take(n, 1), d.status[f - 1]));
      if (head.links) d.heading.push(flip(take(n, 2), d.heading[f - 1]));
      if (head.tasks.length) d.tasks.push(flip(take(head.places, 1), d.tasks[f - 1]));
      const cells = head.grid[0] * head.grid[1] * head.shaded.length; // shaded tasks: counts by state and cell
      if (cells) d.shades.push(flip(take(cells, 4), d.shades[f - 1]));
    }
    const count = head.messages.reduce((a, b) => a + b, 0);
    if (count) d.pairs = [take(count, 2), take(count, 2)];
    let from = 0;
    d.first = head.messages.map((k) => (from += k) - k);
    // in coarse cells each agent keeps a place of its own within the cell
    const coarse = head.cells === 256;
    d.jx = new Float32Array(n).fill(0.5);
    d.jy = new Float32Array(n).fill(0.5);
    for (let i = 0; coarse && i < n; i++) {
      const id = d.who ? d.who[i] : i;
      d.jx[i] = (Math.imul(id, 2654435761) >>> 0) / 4294967296;
      d.jy[i] = (Math.imul(id + 77, 2246822519) >>> 0) / 4294967296;
    }
    return d;
  }

  const now = () => Math.min(scene.frames - 1, Math.floor(t + 1e-6));
  const between = () => (still.matches ? 0 : Math.max(0, t - now()));
  const small = (s) => !s.head.lattice && s.head.agents <= 400;

  function fit(s) {
    const scale = Math.min(2, devicePixelRatio || 1),
      wide = Math.max(1, Math.round(s.canvas.clientWidth * scale)),
      high = Math.max(1, Math.round(wide / s.head.aspect));
    s.scale = scale;
    if (s.canvas.width === wide && s.canvas.height === high && s.image) return;
    s.canvas.width = wide;
    s.canvas.height = high;
    const [w, h] = s.head.lattice ? [s.head.lattice, Math.ceil(s.head.agents / s.head.lattice)] : [wide, high];
    s.image = new ImageData(w, h);
    s.buffer = new Uint32Array(s.image.data.buffer);
  }

  // where agent i (a place: i - n) is drawn
  function at(s, i) {
    const d = s.data,
      f = now(),
      u = between(),
      g = Math.min(scene.frames - 1, f + 1),
      kx = s.canvas.width / s.head.cells,
      ky = s.canvas.height / s.head.cells,
      n = s.head.agents;
    if (s.head.lattice) {
      const step = s.canvas.width / s.head.lattice;
      return [((i % s.head.lattice) + 0.5) * step, (Math.floor(i / s.head.lattice) + 0.5) * step];
    }
    if (i >= n) return [(d.places[0][i - n] + 0.5) * kx, s.canvas.height - (d.places[1][i - n] + 0.5) * ky];
    return [
      (d.x[f][i] * (1 - u) + d.x[g][i] * u + d.jx[i]) * kx,
      s.canvas.height - (d.y[f][i] * (1 - u) + d.y[g][i] * u + d.jy[i]) * ky,
    ];
  }

  const parts = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)),
    packed = ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0,
    pixel = (hex) => packed(parts(hex)),
    mixed = (ground, ink, part) => ground.map((v, c) => v + (ink[c] - v) * part);

  function crowd(s) {
    const d = s.data,
      f = now(),
      u = between(),
      g = Math.min(scene.frames - 1, f + 1),
      b = s.buffer,
      status = d.status[f],
      n = s.head.shown,
      W = s.image.width,
      H = s.image.height,
      paint = s.head.status.map(([, role], k) => (role === "away" || off.has("s" + k) ? 0 : pixel(colour[role]))),
      layer = s.head.status.map(([, role]) => (role === "harm" ? 3 : role === "idle" || role === "crashed" ? 1 : 2));
    b.fill(pixel(colour.canvas));
    if (s.head.lattice) {
      for (let i = 0; i < n; i++) if (paint[status[i]]) b[i] = paint[status[i]];
      return lattice(s);
    }
    const square = (x, y, size, c, hollow) => {
      x = Math.max(0, Math.min(W - size, x | 0));
      y = Math.max(0, Math.min(H - size, y | 0));
      for (let r = 0; r < size; r++)
        for (let k = 0, p = (y + r) * W + x; k < size; k++, p++)
          if (!hollow || r < hollow || k < hollow || r >= size - hollow || k >= size - hollow) b[p] = c;
    };
    const px = (v) => Math.max(1, Math.round(v * s.scale)),
      dot = n * 4 * s.scale * s.scale > 0.5 * W * H ? 1 : 2, // 2 px until they would cover half, else one hides another
      kx = W / s.head.cells,
      ky = H / s.head.cells,
      [xa, xb, ya, yb] = [d.x[f], d.x[g], d.y[f], d.y[g]],
      { jx, jy } = d;
    shade(s);
    const faint = tasks.map((_, k) => packed(mixed(parts(colour.canvas), parts(taskColour(k)), FAINT)));
    for (let j = 0; j < s.head.places; j++) {
      const k = d.tasks[f][j];
      if (!k || off.has("t" + k)) continue;
      const size = px(s.head.squares[k]),
        [x, y] = at(s, s.head.agents + j);
      square(x - size / 2, y - size / 2, size, faint[k], k === 3 ? 0 : px(1));
    }
    for (const above of [1, 2, 3]) {
      const size = px(above === 3 ? dot + 1 : dot),
        own = paint.map((c, k) => (layer[k] === above ? c : 0));
      for (let i = 0; i < n; i++) {
        const c = own[status[i]];
        if (!c) continue;
        const x = Math.min(W - size, ((xa[i] + (xb[i] - xa[i]) * u + jx[i]) * kx) | 0),
          y = Math.min(H - size, (H - (ya[i] + (yb[i] - ya[i]) * u + jy[i]) * ky) | 0);
        for (let r = 0, p = y * W + x; r < size; r++, p += W) for (let q = p; q < p + size; q++) b[q] = c;
      }
    }
    s.pen.putImageData(s.image, 0, 0);
  }

  const taskColour = (k) => (k === 4 ? colour.ok : k === 5 ? colour.ink2 : colour.ink);

  // tasks that are too many for squares: each cell takes on their colour, the more the fuller it is
  function shade(s) {
    const { shaded, grid, fullest } = s.head,
      layers = shaded.map((k, j) => [k, j]).filter(([k]) => !off.has("t" + k));
    if (!layers.length) return;
    const [columns, rows] = grid,
      counts = s.data.shades[now()],
      [W, H] = [s.image.width, s.image.height],
      inks = layers.map(([k]) => parts(taskColour(k))),
      ground = parts(colour.canvas);
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        const part = (j) => (SHADE * counts[(j * rows + row) * columns + column]) / fullest[j],
          c = packed(layers.reduce((rgb, [, j], layer) => mixed(rgb, inks[layer], part(j)), ground)),
          [left, right] = [column, column + 1].map((v) => Math.round((v * W) / columns)),
          [top, bottom] = [row + 1, row].map((v) => H - Math.round((v * H) / rows));
        for (let y = top; y < bottom; y++) s.buffer.fill(c, y * W + left, y * W + right);
      }
  }

  function lattice(s) {
    s.sheet ||= document.createElement("canvas");
    s.sheet.width = s.image.width;
    s.sheet.height = s.image.height;
    s.sheet.getContext("2d").putImageData(s.image, 0, 0);
    s.pen.imageSmoothingEnabled = false;
    s.pen.drawImage(s.sheet, 0, 0, s.canvas.width, s.canvas.height);
  }

  // an agent by its role, told apart by form as well as by colour
  function mark(pen, role, x, y, r) {
    pen.fillStyle = colour[role];
    pen.strokeStyle = colour.canvas;
    pen.lineWidth = r * 0.3;
    pen.beginPath();
    if (role === "harm") {
      pen.moveTo(x, y - 1.5 * r);
      pen.lineTo(x + 1.35 * r, y + r);
      pen.lineTo(x - 1.35 * r, y + r);
      pen.closePath();
    } else if (role === "b") {
      pen.moveTo(x, y - 1.3 * r);
      pen.lineTo(x + 1.3 * r, y);
      pen.lineTo(x, y + 1.3 * r);
      pen.lineTo(x - 1.3 * r, y);
      pen.closePath();
    } else if (role === "crashed") {
      pen.strokeStyle = colour.crashed;
      pen.lineWidth = r * 0.42;
      for (const k of [-0.8 * r, 0.8 * r]) {
        pen.moveTo(x - 0.8 * r, y - k);
        pen.lineTo(x + 0.8 * r, y + k);
      }
      return pen.stroke();
    } else pen.arc(x, y, r, 0, 7);
    pen.fill();
    if (role === "idle") pen.strokeStyle = colour.ink2;
    pen.stroke();
    if (role !== "fooled") return;
    pen.beginPath();
    pen.fillStyle = colour.canvas;
    pen.arc(x, y, r * 0.4, 0, 7);
    pen.fill();
  }

  // a task by its state: hollow open, half held, full active, a tick done, struck through expired
  function task(pen, state, x, y, r) {
    pen.lineWidth = r * 0.28;
    pen.strokeStyle = pen.fillStyle = state === 4 ? colour.ok : state === 5 ? colour.ink2 : colour.ink;
    pen.beginPath();
    if (state === 4) {
      pen.moveTo(x - 0.8 * r, y);
      pen.lineTo(x - 0.2 * r, y + 0.7 * r);
      pen.lineTo(x + r, y - 0.8 * r);
      return pen.stroke();
    }
    if (state === 3) return pen.fillRect(x - r, y - r, 2 * r, 2 * r);
    if (state === 2) pen.fillRect(x - r, y, 2 * r, r);
    pen.rect(x - r, y - r, 2 * r, 2 * r);
    if (state === 5) {
      pen.moveTo(x - 1.5 * r, y + 1.5 * r);
      pen.lineTo(x + 1.5 * r, y - 1.5 * r);
    }
    pen.stroke();
  }

  function few(s) {
    const { pen, data: d, canvas } = s,
      f = now(),
      n = s.head.agents,
      u = between(),
      role = (i) => s.head.status[d.status[f][i]][1],
      shown = (i) => role(i) !== "away" && !off.has("s" + d.status[f][i]),
      r = s.scale * Math.max(3, Math.min(7, (0.16 * Math.sqrt((canvas.width * canvas.height) / n)) / s.scale));
    // half the side of squares of which the most at a time cover an eighth
    const room = (k) => Math.sqrt((canvas.width * canvas.height) / 8 / Math.max(1, scene.most[k])) / 2;
    pen.fillStyle = colour.canvas;
    pen.fillRect(0, 0, canvas.width, canvas.height);
    const stroke = (i, j) => {
      pen.beginPath();
      pen.moveTo(...at(s, i));
      pen.lineTo(...at(s, j));
      pen.stroke();
    };
    if (d.pairs && !off.has("messages"))
      for (let k = d.first[f]; k < d.first[f] + s.head.messages[f]; k++) {
        const [i, j] = [d.pairs[0][k], d.pairs[1][k]],
          lie = i < n && role(i) === "harm",
          [x, y] = at(s, i),
          [X, Y] = at(s, j);
        pen.strokeStyle = pen.fillStyle = lie ? colour.harm : colour.ink2;
        pen.globalAlpha = lie ? 0.8 : 0.35;
        pen.lineWidth = s.scale;
        pen.setLineDash([2 * s.scale, 4 * s.scale]);
        stroke(i, j);
        pen.setLineDash([]);
        pen.globalAlpha = 1;
        if (!u) continue;
        pen.beginPath();
        pen.arc(x + (X - x) * u, y + (Y - y) * u, 2 * s.scale, 0, 7);
        pen.fill();
      }
    if (s.head.links && !off.has("claims"))
      for (let i = 0; i < n; i++) {
        if (!d.heading[f][i] || !shown(i)) continue;
        pen.strokeStyle = role(i) === "idle" ? colour.ink2 : colour[role(i)];
        pen.lineWidth = 1.4 * s.scale;
        pen.globalAlpha = 0.65;
        stroke(i, n + d.heading[f][i] - 1);
      }
    pen.globalAlpha = 1;
    for (let j = 0; j < s.head.places; j++) {
      const state = d.tasks[f][j];
      if (!state || off.has("t" + state)) continue;
      pen.globalAlpha = state > 3 ? 0.8 : 1;
      task(pen, state, ...at(s, n + j), Math.max(2.5 * s.scale, Math.min(state > 3 ? 0.7 * r : 1.3 * r, room(state))));
    }
    pen.globalAlpha = 1;
    for (const top of [false, true])
      for (let i = 0; i < n; i++) if (shown(i) && (role(i) === "harm") === top) mark(pen, role(i), ...at(s, i), r);
  }

  function draw() {
    if (!scene) return;
    const f = now(),
      tick = (k) => whole(scene.start + k * scene.every);
    for (const s of scene.stages) {
      fit(s);
      if (small(s)) few(s);
      else crowd(s);
      const i = picked < 0 ? -1 : s.data.who ? s.data.who.indexOf(picked) : picked < s.head.shown ? picked : -1;
      if (i >= 0) {
        s.pen.beginPath();
        s.pen.strokeStyle = colour.ink;
        s.pen.lineWidth = 2 * s.scale;
        s.pen.arc(...at(s, i), 10 * s.scale, 0, 7);
        s.pen.stroke();
      }
      s.said.textContent = [`tick ${tick(f)}`, s.head.captions[f]].filter(Boolean).join(" · ");
      s.cursor.style.left = (100 * Math.min(t, scene.frames - 1)) / Math.max(1, scene.frames - 1) + "%";
      s.agent.textContent = i < 0 ? "" : agent(s, i, f);
    }
    for (const [cells, counts] of scene.rows) cells.forEach((cell, k) => (cell.textContent = counts(k, f)));
    seek.value = f;
    $("tick").textContent = `tick ${tick(f)} of ${tick(scene.frames - 1)}`;
    seek.setAttribute("aria-valuetext", `tick ${tick(f)}`);
  }

  function agent(s, i, f) {
    let since = f;
    while (since && s.data.status[since - 1][i] === s.data.status[f][i]) since--;
    const word = s.head.status[s.data.status[f][i]][0];
    return `agent ${whole(picked)}: ${word} since tick ${whole(scene.start + since * scene.every)}`;
  }

  // how many agents have each status, over time, and what happened when
  function area(s) {
    const c = s.area,
      pen = c.getContext("2d"),
      wide = (c.width = Math.max(1, Math.round(c.clientWidth * s.scale))),
      high = (c.height = Math.round(40 * s.scale)),
      last = Math.max(1, scene.frames - 1);
    const base = new Float64Array(scene.frames);
    s.head.status.forEach(([, role], k) => {
      if (role === "away") return;
      pen.fillStyle = colour[role];
      pen.beginPath();
      const line = (top) => {
        for (let j = 0; j < scene.frames; j++) {
          const f = top ? j : scene.frames - 1 - j;
          pen.lineTo((f / last) * wide, high * (1 - base[f] / s.head.agents));
        }
      };
      line(true);
      for (let f = 0; f < scene.frames; f++) base[f] += s.head.counts[f][k];
      line(false);
      pen.fill();
    });
  }

  function colours() {
    if (!scene) return;
    for (const name of ["canvas", "idle", "a", "b", "fooled", "crashed", "harm", "ink", "ink2", "ok", "rule"])
      colour[name] = css(name);
    draw();
    scene.stages.forEach(area);
    for (const paint of scene.signs) paint();
  }

  // the key, which counts and hides
  function key() {
    const who = $("who"),
      several = scene.stages.length > 1,
      few = small(scene.stages[0]);
    who.replaceChildren();
    scene.rows = [];
    scene.signs = [];
    let body = null;
    const open = (title) => {
      const table = make("table", "", who),
        top = make("tr", "", make("thead", "", table));
      make("th", "", top, title).scope = "col";
      for (const s of scene.stages) make("th", "r", top, several ? s.head.name : "").scope = "col";
      body = make("tbody", "", table);
    };
    const row = (id, word, sign, counts) => {
      const tr = make("tr", "", body),
        button = make("button", "", make("td", "", tr));
      button.type = "button";
      button.setAttribute("aria-pressed", String(!off.has(id)));
      const glyph = make("canvas", "", button);
      glyph.width = glyph.height = 32;
      glyph.setAttribute("aria-hidden", "true");
      make("span", "", button, word);
      button.onclick = () => {
        if (!off.delete(id)) off.add(id);
        button.setAttribute("aria-pressed", String(!off.has(id)));
        draw();
      };
      scene.signs.push(() => {
        const pen = glyph.getContext("2d");
        pen.clearRect(0, 0, 32, 32);
        sign(pen);
      });
      if (counts) scene.rows.push([scene.stages.map(() => make("td", "r", tr)), counts]);
      else scene.stages.forEach(() => make("td", "r", tr));
    };
    open("Agents (press to hide)");
    scene.stages[0].head.status.forEach(([word, role], k) => {
      if (scene.stages.every((s) => s.head.counts.every((row) => !row[k]))) return;
      const sign = (pen) => {
        if (role === "away") return;
        if (few) return mark(pen, role, 16, 16, 9);
        pen.fillStyle = colour[role];
        pen.fillRect(7, 7, 18, 18);
      };
      row("s" + k, word, sign, (j, f) => whole(scene.stages[j].head.counts[f][k]));
    });
    const line = (dash, ink) => (pen) => {
      pen.strokeStyle = colour[ink];
      pen.lineWidth = 2.8;
      pen.setLineDash(dash);
      pen.beginPath();
      pen.moveTo(2, 16);
      pen.lineTo(30, 16);
      pen.stroke();
    };
    if (scene.stages.some((s) => s.head.links)) row("claims", "claim, to its place", line([], "a"), null);
    if (scene.stages.some((s) => s.data.pairs))
      row("messages", "messages", line([4, 5], "ink2"), (j, f) => whole(scene.stages[j].head.messages[f] ?? 0));
    const shades = (pen) => {
      for (const [part, x, y] of [
        [0.3, 6, 6],
        [0.7, 16, 6],
        [1, 6, 16],
        [0.5, 16, 16],
      ]) {
        pen.globalAlpha = part;
        pen.fillRect(x, y, 10, 10);
      }
      pen.globalAlpha = 1;
    };
    if (scene.stages.some((s) => s.head.tasks.length))
      open(scene.stages.some((s) => s.head.off.length) ? "Tasks (struck: press to show)" : "Tasks");
    for (let k = 1; k < tasks.length; k++) {
      if (!scene.stages.some((s) => s.head.tasks.some((counts) => counts[k]))) continue;
      const shaded = scene.stages.some((s) => s.head.shaded.includes(k));
      const sign = (pen) => {
        if (few) return task(pen, k, 16, 16, 8);
        pen.strokeStyle = pen.fillStyle = taskColour(k);
        pen.lineWidth = 3;
        if (shaded) return shades(pen);
        if (k === 3) pen.fillRect(8, 8, 16, 16);
        else pen.strokeRect(9, 9, 14, 14);
      };
      row("t" + k, tasks[k], sign, (j, f) => whole(scene.stages[j].head.tasks[f]?.[k] ?? 0));
    }
  }

  async function load(k) {
    stop();
    const { note, stages } = scenes[k],
      head = stages[0],
      box = $("stages"),
      next = { frames: head.frames, every: head.every, start: head.start, poster: head.poster, rows: [], signs: [] };
    scene = null;
    picked = -1;
    $("note").textContent = note;
    box.replaceChildren();
    player.classList.toggle("pair", stages.length > 1);
    off = new Set(stages.flatMap((head) => head.off).map((k) => "t" + k));
    next.stages = stages.map((head) => {
      const part = make("div", "stage", box);
      player.style.setProperty("--most", `${Math.round(680 * head.aspect)}px`);
      const said = make("p", "said", part);
      make("b", "", said, head.name);
      const canvas = make("canvas", "scene", part);
      canvas.style.aspectRatio = String(head.aspect);
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `${head.name}: ${whole(head.agents)} agents, coloured by status`);
      const time = make("div", "time", part),
        area = make("canvas", "area", time);
      area.setAttribute("aria-hidden", "true");
      for (const [tick, words] of head.marks) {
        const x = Math.min(1, (tick - head.start) / Math.max(1, head.every * (head.frames - 1)));
        const flag = make("span", x > 0.6 ? "flag left" : "flag", time);
        flag.style.left = 100 * x + "%";
        make("span", "", flag, words);
      }
      const s = { head, canvas, area, pen: canvas.getContext("2d"), said: make("span", "", said) };
      s.cursor = make("i", "", time);
      s.agent = make("p", "agent", part);
      s.agent.setAttribute("aria-live", "polite");
      canvas.onclick = (e) => choose(s, e);
      return s;
    });
    next.most = tasks.map((_, k) => Math.max(0, ...stages.flatMap((head) => head.tasks.map((counts) => counts[k]))));
    try {
      for (const s of next.stages) s.data = s.head.data ||= await unpack(s.head);
    } catch {
      box.textContent = "This browser cannot unpack the replay.";
      return;
    }
    scene = next;
    seek.max = scene.frames - 1;
    t = scene.poster;
    key();
    colours();
    player.dataset.ready = "1";
  }

  function choose(s, e) {
    if (!scene) return;
    const box = s.canvas.getBoundingClientRect(),
      x = ((e.clientX - box.left) * s.canvas.width) / box.width,
      y = ((e.clientY - box.top) * s.canvas.height) / box.height;
    let best = Infinity;
    for (let i = 0; i < s.head.shown; i++) {
      if (s.head.status[s.data.status[now()][i]][1] === "away") continue;
      const [a, b] = at(s, i),
        far = (a - x) ** 2 + (b - y) ** 2;
      if (far < best) [best, picked] = [far, s.data.who ? s.data.who[i] : i];
    }
    draw();
  }

  const stop = () => {
    last = 0;
    play.textContent = "▶ Play";
  };
  const go = (f) => {
    if (!scene) return;
    stop();
    t = Math.max(0, Math.min(scene.frames - 1, f));
    draw();
  };
  function step(time) {
    if (!last || !scene) return;
    const rate = Math.max(2, Math.min(12, scene.frames / 20)); // frames a second
    t += (Math.max(0, Math.min(100, time - last)) / 1000) * rate * speed; // a frame's time may lie before the press
    last = Math.max(last, time);
    if (t >= scene.frames - 1) go(scene.frames - 1);
    else {
      draw();
      requestAnimationFrame(step);
    }
  }
  play.onclick = () => {
    if (last || !scene) return stop();
    if (t >= scene.frames - 1) t = 0;
    play.textContent = "❚❚ Pause";
    last = performance.now();
    requestAnimationFrame(step);
  };
  $("back").onclick = () => go(Math.ceil(t - 1e-6) - 1);
  $("on").onclick = () => go(now() + 1);
  seek.oninput = () => go(+seek.value);
  $("speed").onchange = (e) => (speed = +e.target.value);
  if ($("scene")) $("scene").onchange = (e) => load(+e.target.value);
  player.addEventListener("keydown", (e) => {
    if (e.key === "Escape") {
      stop();
      picked = -1;
      draw();
      return document.activeElement.blur();
    }
    if (e.target !== player || !scene || e.altKey || e.ctrlKey || e.metaKey) return;
    const by = e.shiftKey ? 10 : 1,
      to = { ArrowRight: now() + by, ArrowLeft: Math.ceil(t - 1e-6) - by, Home: 0, End: scene.frames - 1 }[e.key];
    if (e.key === " ") play.onclick();
    else if (to != null) go(to);
    else return;
    e.preventDefault();
  });

  // paper is light and shows the poster
  let kept = null;
  addEventListener("beforeprint", () => {
    if (!scene || kept) return;
    kept = [root.dataset.theme, t];
    root.dataset.theme = "light";
    go(scene.poster);
    colours();
  });
  addEventListener("afterprint", () => {
    if (!kept) return;
    if (kept[0]) root.dataset.theme = kept[0];
    else delete root.dataset.theme;
    t = kept[1];
    kept = null;
    colours();
  });
  new MutationObserver(colours).observe(root, { attributes: true, attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", colours);
  new ResizeObserver(() => {
    if (!scene) return;
    draw();
    scene.stages.forEach(area);
  }).observe($("stages"));
  load(0);
})();
