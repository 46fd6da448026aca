// A case in full: slices to scroll through, reference and answer as outlines, errors as a veil that one can thin out.
const viewer = document.getElementById("viewer");

if (viewer) {
  const PLANES = [
    { name: "axial", letters: ["R", "L", "A", "P"] },
    { name: "coronal", letters: ["R", "L", "S", "I"] },
    { name: "sagittal", letters: ["A", "P", "S", "I"] },
  ]; // cut across slices, rows and columns of a view
  const KINDS = ["right", "extra", "missing", "confused"];
  const UNJUDGED = 255;
  const sources = new Map([...document.querySelectorAll("script.view")].map((one) => [one.dataset.case, one]));
  const controls = viewer.querySelector("form");
  const stage = viewer.querySelector(".stage");
  const colours = Object.fromEntries(
    [...viewer.querySelectorAll("[data-colour]")].map((one) => [one.dataset.colour, one.dataset.value]),
  );
  let open = null; // the case that is shown
  let active = 0; // the plane that keys move

  const loaded = (address) =>
    new Promise((resolve, reject) => {
      const picture = new Image();
      picture.onload = () => resolve(picture);
      picture.onerror = () => reject(new Error("a picture of this case cannot be decoded"));
      picture.src = address;
    });

  // The mosaic's pixels as slices x rows x columns x channels.
  async function unfolded(address, [slices, rows, columns], across, channels) {
    const picture = await loaded(address);
    const canvas = new OffscreenCanvas(picture.width, picture.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(picture, 0, 0);
    const { data } = context.getImageData(0, 0, picture.width, picture.height);
    const found = new Uint8Array(slices * rows * columns * channels);
    let place = 0;
    for (let s = 0; s < slices; s++) {
      const [top, left] = [Math.floor(s / across) * rows, (s % across) * columns];
      for (let r = 0; r < rows; r++)
        for (let c = 0; c < columns; c++)
          for (let k = 0; k < channels; k++) found[place++] = data[4 * ((top + r) * picture.width + left + c) + k];
    }
    return found;
  }

  // One plane of an unfolded volume, with its height and width.
  function cut(volume, [slices, rows, columns], plane, index, channels = 1) {
    const [height, width] = [[rows, columns], [slices, columns], [slices, rows]][plane];
    const strides = [rows * columns, columns, 1];
    const [down, across] = [[1, 2], [0, 2], [0, 1]][plane].map((axis) => strides[axis]);
    const flat = new Uint8Array(height * width * channels);
    for (let i = 0, place = 0; i < height; i++)
      for (let j = 0; j < width; j++) {
        const from = (index * strides[plane] + i * down + j * across) * channels;
        for (let k = 0; k < channels; k++) flat[place++] = volume[from + k];
      }
    return { flat, height, width };
  }

  function drawn(plane) {
    const { view, image, reference, prediction, at } = open;
    const { flat: truth, ...size } = cut(reference, view.shape, plane, at[plane]);
    const guess = cut(prediction, view.shape, plane, at[plane]).flat;
    const canvas = stage.querySelectorAll("canvas")[plane];
    const spacing = view.spacing.filter((_, axis) => axis !== plane);
    const [tall, wide] = [size.height * spacing[0], size.width * spacing[1]];
    const side = Math.max(1, Math.round(canvas.clientWidth * devicePixelRatio));
    canvas.width = canvas.height = side;
    const scale = side / Math.max(tall, wide);
    const [height, width] = [tall * scale, wide * scale];
    const context = canvas.getContext("2d");
    context.translate((side - width) / 2, (side - height) / 2);
    const paint = (pixels, smooth, alpha) => {
      const small = new OffscreenCanvas(size.width, size.height);
      small.getContext("2d").putImageData(new ImageData(pixels, size.width, size.height), 0, 0);
      context.imageSmoothingEnabled = smooth;
      context.imageSmoothingQuality = "high";
      context.globalAlpha = alpha;
      context.drawImage(small, 0, 0, width, height);
      context.globalAlpha = 1;
    };
    if (image) paint(opaque(cut(image, view.shape, plane, at[plane], 3).flat), true, 1);
    else {
      context.fillStyle = stage.dataset.ground;
      context.fillRect(0, 0, width, height);
    }
    paint(veil(truth, guess), false, controls.opacity.value / 100);
    const [right, down] = [width / size.width, height / size.height];
    const wanted = members();
    if (controls.reference.checked) outline(context, truth, size, right, down, wanted, colours.reference, []);
    if (controls.prediction.checked)
      outline(context, guess, size, right, down, wanted, colours.prediction, [6 * devicePixelRatio, 3 * devicePixelRatio]);
  }

  // Three channels as pixels that hide what is below.
  function opaque(flat) {
    const pixels = new Uint8ClampedArray((4 * flat.length) / 3).fill(255);
    for (let i = 0; 3 * i < flat.length; i++) pixels.set(flat.subarray(3 * i, 3 * i + 3), 4 * i);
    return pixels;
  }

  // Codes of the chosen structure; null when all are shown.
  function members() {
    const name = controls.structure.value;
    return name === "" ? null : new Set(open.view.codes[name]);
  }

  // Which kind of voxel each one is, in its colour.
  function veil(truth, guess) {
    const wanted = members();
    const shown = KINDS.map((kind) => controls[kind]?.checked);
    const paints = KINDS.map((kind) => (colours[kind] ?? "#000000").match(/\w\w/g).map((part) => parseInt(part, 16)));
    const pixels = new Uint8ClampedArray(4 * truth.length);
    for (let i = 0; i < truth.length; i++) {
      if (truth[i] === UNJUDGED) continue;
      const [there, said] = wanted ? [wanted.has(truth[i]), wanted.has(guess[i])] : [truth[i] > 0, guess[i] > 0];
      if (!there && !said) continue;
      const kind = there && said ? (wanted || truth[i] === guess[i] ? 0 : 3) : said ? 1 : 2;
      if (!shown[kind]) continue;
      pixels.set(paints[kind], 4 * i);
      pixels[4 * i + 3] = 255;
    }
    return pixels;
  }

  // The edges between voxels of different structures.
  function outline(context, codes, { height, width }, right, down, wanted, colour, dashes) {
    const kind = (i) => (codes[i] === UNJUDGED ? 0 : wanted ? Number(wanted.has(codes[i])) : codes[i]);
    context.beginPath();
    for (let r = 0; r < height; r++)
      for (let c = 0; c < width; c++) {
        const here = kind(r * width + c);
        if (c + 1 < width && here !== kind(r * width + c + 1)) {
          context.moveTo((c + 1) * right, r * down);
          context.lineTo((c + 1) * right, (r + 1) * down);
        }
        if (r + 1 < height && here !== kind((r + 1) * width + c)) {
          context.moveTo(c * right, (r + 1) * down);
          context.lineTo((c + 1) * right, (r + 1) * down);
        }
      }
    context.strokeStyle = colour;
    context.lineWidth = 1.6 * devicePixelRatio;
    context.setLineDash(dashes);
    context.stroke();
  }

  function redraw() {
    if (!open?.reference) return;
    [...stage.children].forEach((figure, plane) => figure.hidden || drawn(plane));
  }

  function moveTo(plane, index) {
    if (!open?.reference) return;
    const last = open.view.shape[plane] - 1;
    open.at[plane] = Math.min(last, Math.max(0, index));
    const figure = stage.children[plane];
    figure.querySelector("input").value = open.at[plane];
    figure.querySelector("output").value = `${open.at[plane] + 1} of ${last + 1}`;
    drawn(plane);
  }

  // The cases that the table shows, in its order.
  const inOrder = () =>
    [...table.tBodies[0].rows].filter((row) => !row.hidden && sources.has(row.dataset.case)).map((row) => row.dataset.case);

  // Numbers of one case; few structures stand side by side, many below each other.
  function fillTable(name) {
    const { findings, values } = numbers.cases[name];
    const cell = (tag, text, soft = "") => {
      const made = document.createElement(tag);
      made.textContent = text;
      if (soft) made.append(Object.assign(document.createElement("span"), { className: "unit", textContent: ` ${soft}` }));
      return made;
    };
    const remark = (place) => ({ missed: "missed", spurious: "made up" })[findings[place]] ?? "";
    const structures = numbers.structures.map((one, place) => [one, remark(place)]);
    const metrics = numbers.metrics.map((one) => [one.name, one.unit]);
    const across = structures.length <= 3;
    const [top, side] = across ? [structures, metrics] : [metrics, structures];
    const title = document.createElement("tr");
    title.append(cell("th", ""), ...top.map(([text, soft]) => cell("th", text, soft)));
    const rows = side.map(([text, soft], i) => {
      const row = document.createElement("tr");
      row.append(cell("th", text, soft));
      row.append(...top.map((_, j) => cell("td", shortNumber(across ? values[j][i] : values[i][j]))));
      if (!across && soft) row.className = "failed";
      return row;
    });
    const body = viewer.querySelector("table");
    body.replaceChildren(document.createElement("thead"), document.createElement("tbody"));
    body.tHead.append(title);
    body.tBodies[0].append(...rows);
  }

  async function show(name, at = null) {
    const order = inOrder();
    const view = JSON.parse(sources.get(name).textContent);
    open = { name, view, at: at ?? [...view.start] };
    const mine = open;
    const place = order.indexOf(name);
    viewer.querySelector("h2").textContent = name;
    viewer.querySelector(".rank").textContent = place < 0 ? "" : `${place + 1} of ${order.length} in the table`;
    const present = numbers.structures.filter((structure) => view.codes[structure]?.length);
    const kept = controls.structure.value;
    controls.structure.replaceChildren(new Option("all structures", ""), ...present.map((one) => new Option(one, one)));
    controls.structure.value = present.includes(kept) ? kept : "";
    const flat = view.shape[0] === 1;
    stage.classList.toggle("flat", flat);
    [...stage.children].forEach((figure, plane) => {
      figure.hidden = flat && plane > 0;
      const length = view.shape[plane];
      figure.querySelector(".slider").hidden = flat;
      figure.querySelector("input").max = length - 1;
      const letters = figure.querySelectorAll(".letter");
      letters.forEach((letter, side) => (letter.textContent = flat ? "" : PLANES[plane].letters[side]));
    });
    const thinned = Math.max(...view.thinned);
    viewer.querySelector(".thinned").textContent =
      thinned > 1 ? `Shown with every ${view.thinned.slice(flat ? 1 : 0).join(" × ")} voxels as one; the numbers are of all voxels.` : "";
    fillTable(name);
    if (!viewer.open) viewer.showModal();
    history.replaceState(null, "", `#view=${encodeURIComponent(name)}`);
    const across = view.columns;
    const [image, reference, prediction] = await Promise.all([
      view.image && unfolded(view.image, view.shape, across, 3),
      unfolded(view.reference, view.shape, across, 1),
      unfolded(view.prediction, view.shape, across, 1),
    ]);
    if (open !== mine) return; // another case was opened meanwhile
    Object.assign(open, { image, reference, prediction });
    [0, 1, 2].forEach((plane) => stage.children[plane].hidden || moveTo(plane, open.at[plane]));
    viewer.dataset.shown = name;
  }

  function next(by) {
    const order = inOrder();
    const place = order.indexOf(open.name) + by;
    if (order.length) show(order[(place + order.length) % order.length]);
  }

  [...stage.children].forEach((figure, plane) => {
    figure.querySelector("input").addEventListener("input", (event) => moveTo(plane, Number(event.target.value)));
    figure.addEventListener("pointerenter", () => (active = plane));
    figure.querySelector("canvas").addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        if (open?.reference && open.view.shape[0] > 1) moveTo(plane, open.at[plane] + Math.sign(event.deltaY));
      },
      { passive: false },
    );
  });
  controls.addEventListener("input", redraw);
  controls.addEventListener("submit", (event) => event.preventDefault());
  viewer.querySelector(".previous").addEventListener("click", () => next(-1));
  viewer.querySelector(".next").addEventListener("click", () => next(1));
  viewer.querySelector(".close").addEventListener("click", () => viewer.close());
  viewer.addEventListener("close", () => history.replaceState(null, "", location.pathname + location.search));
  viewer.addEventListener("keydown", (event) => {
    if (event.target.matches("select, input[type=range]")) return;
    const steps = { ArrowLeft: () => next(-1), ArrowRight: () => next(1) };
    if (open?.view.shape[0] > 1) {
      steps.ArrowUp = () => moveTo(active, open.at[active] - 1);
      steps.ArrowDown = () => moveTo(active, open.at[active] + 1);
    }
    if (steps[event.key]) {
      event.preventDefault();
      steps[event.key]();
    }
  });
  addEventListener("resize", redraw);

  // Rows and pictures lead to their case.
  for (const row of table.tBodies[0].rows) {
    if (!sources.has(row.dataset.case)) continue;
    const button = document.createElement("button");
    button.className = "open";
    button.textContent = row.dataset.case;
    row.children[0].replaceChildren(button);
    row.classList.add("opens");
    row.addEventListener("click", () => show(row.dataset.case));
  }
  for (const frame of document.querySelectorAll(".case[data-case] .frame")) {
    const { case: name } = frame.closest(".case").dataset;
    if (!sources.has(name)) continue;
    frame.classList.add("opens");
    frame.addEventListener("click", () => show(name));
  }
  const asked = decodeURIComponent(location.hash.match(/^#view=(.+)$/)?.[1] ?? "");
  if (sources.has(asked)) show(asked);
}
