"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const dialog = byId("viewer");
  const volumes = JSON.parse(byId("volumes").textContent);
  const axes = ["x", "y", "z"];
  const letters = [["L", "R"], ["P", "A"], ["I", "S"]]; // NiiVue's millimetres are RAS
  const axisNames = ["right to left", "back to front", "foot to head"];
  const scanAxes = ["read", "phase", "slice"];
  let nv = null;
  let told = null;
  let image = null;
  let turn = 0;

  // Shown first, filled then: a screen reader speaks what changes in an alert that is there.
  function notice(text, place = byId("viewer-notice")) {
    place.hidden = !text;
    place.textContent = text;
  }

  // A series may be chosen in the window too: the words stand where its own button is.
  function failed(id, error) {
    const words = `The viewer could not show this series (${error?.message ?? error}); its pictures stand for it.`;
    const button = document.querySelector(`.open-viewer[data-volume="${id}"]`);
    dialog.close();
    notice(words, byId(`${id}-error`));
    button.focus({ preventScroll: true });
    button.scrollIntoView({ block: "center", behavior: "instant" });
  }

  function canDraw() {
    const context = document.createElement("canvas").getContext("webgl2");
    if (!context) return false;
    context.getExtension("WEBGL_lose_context")?.loseContext();
    return typeof dialog.showModal === "function";
  }

  // Digits that the rounding of the volume carries, no more.
  function number(value) {
    if (told.step > 0) {
      const digits = Math.max(0, Math.min(20, Math.ceil(-Math.log10(told.step))));
      if (told.step < 1e-4 || told.step > 1e4) return value.toExponential(2);
      return value.toFixed(digits);
    }
    return String(Number(value.toPrecision(6)));
  }

  function described(value) {
    const same = (other) => other !== null && Math.abs(value - other) <= told.step / 2;
    if (!Number.isFinite(value) || same(told.gap)) return "not measured";
    const sign = same(told.clipped[0]) ? "\u2264 " : same(told.clipped[1]) ? "\u2265 " : "";
    return `${sign}${number(value)} ${told.unit}`;
  }

  const millimetres = (value) => (Math.round(10 * value) / 10 + 0).toFixed(1); // + 0: no "-0.0"

  function place(mm) {
    if (!told.known) {
      return `${scanAxes.map((a, i) => `${a} ${millimetres(-mm[i])}`).join(", ")} mm from the centre of the scan`;
    }
    const parts = letters.map((pair, i) => `${pair[mm[i] > 0 ? 1 : 0]} ${millimetres(Math.abs(mm[i]))}`);
    return `${parts.join(", ")} mm`;
  }

  // Sliders run as their names say: from the patient's right, or along the axes of the scan, which
  // a volume without directions has against NiiVue's axes.
  const flipped = (i) => !told.known || i === 0;

  function showPlace(at) {
    if (!told || !image) return;
    byId("viewer-value").textContent = `${described(at.values[0].value)} at ${place(at.mm)}`;
    axes.forEach((axis, i) => {
      byId(`viewer-${axis}`).value = flipped(i) ? 1 - at.frac[i] : at.frac[i];
    });
  }

  function showWindow() {
    byId("viewer-low").value = Number(image.cal_min.toPrecision(4));
    byId("viewer-high").value = Number(image.cal_max.toPrecision(4));
  }

  function setWindow(low, high) {
    if (!(low < high)) return;
    image.cal_min = low;
    image.cal_max = high;
    nv.updateGLVolume();
    showWindow();
  }

  // The colours from darkest to brightest, between the two numbers they stand for.
  function showColours() {
    const colours = nv.colormap(told.colormap).map((value, i) => (i % 4 === 3 ? 255 : value));
    byId("viewer-colours").getContext("2d").putImageData(new ImageData(colours, 256, 1), 0, 0);
  }

  // NiiVue's own ruler has no number and is not drawn in radiological order: this one replaces it,
  // at the moment NiiVue would draw it, so that it follows every zoom.
  function showScale() {
    const bar = byId("viewer-scale");
    const slice = nv?.screenSlices.find((s) => s.fovMM.length > 1 && s.leftTopWidthHeight[2] > 0);
    bar.hidden = !slice;
    if (!slice) return;
    const cssPerPixel = nv.canvas.clientWidth / nv.canvas.width;
    const [left, top, width, height] = slice.leftTopWidthHeight.map((v) => v * cssPerPixel);
    const acrossMm = Math.abs(slice.fovMM[0]);
    const power = 10 ** Math.floor(Math.log10(acrossMm / 3));
    const lengthMm = [5, 2, 1].map((n) => n * power).find((mm) => mm <= acrossMm / 3);
    bar.textContent = `${Number(lengthMm.toPrecision(1))} mm`;
    bar.style.left = `${left + 8}px`;
    bar.style.top = `${top + height - 28}px`;
    bar.style.width = `${(lengthMm / acrossMm) * width}px`;
  }

  // A volume of one slice has one plane to show.
  function planeOf(dims) {
    const thin = dims.slice(1, 4).map((n) => n === 1);
    if (thin.filter(Boolean).length !== 1) return nv.sliceTypeMultiplanar;
    return [nv.sliceTypeSagittal, nv.sliceTypeCoronal, nv.sliceTypeAxial][thin.indexOf(true)];
  }

  function showFrame(frame) {
    byId("viewer-frame").value = frame;
    byId("viewer-frame-name").textContent = `Frame ${frame + 1} of ${told.frames.length}: ${told.frames[frame]}`;
  }

  async function started() {
    if (nv) return;
    const made = new niivue.Niivue({
      isRadiologicalConvention: true,
      isRuler: true,
      sagittalNoseLeft: true,
      crosshairColor: [0.9, 0.6, 0, 0.8],
      crosshairWidth: 0.5,
      crosshairWidthUnit: "percent",
      crosshairGap: 4,
      fontColor: [1, 1, 1, 1],
      multiplanarShowRender: 0,
      multiplanarPadPixels: 8,
      isNearestInterpolation: true,
      dragAndDropEnabled: false,
      loadingText: "",
      logLevel: "error",
    });
    await made.attachToCanvas(byId("viewer-canvas"));
    made.drawRuler = showScale;
    made.onLocationChange = showPlace;
    made.onIntensityChange = showWindow;
    made.onFrameChange = (_, frame) => showFrame(frame);
    nv = made;
  }

  async function show(id) {
    const mine = ++turn;
    await started();
    const next = volumes.find((volume) => volume.id === id);
    const loaded = await niivue.NVImage.loadFromBase64({
      base64: byId(id).textContent,
      name: `${id}.nii.gz`,
      colormap: next.colormap,
      cal_min: next.window[0],
      cal_max: next.window[1],
    });
    if (mine !== turn) return; // another series was chosen meanwhile
    while (nv.volumes.length) nv.removeVolumeByIndex(0);
    told = next;
    image = loaded;
    nv.addVolume(image);
    nv.setIsOrientationTextVisible(told.known);
    setWindow(...told.window);
    showColours();
    byId("viewer-series").value = id;
    byId("viewer-unit").textContent = told.unit;
    axes.forEach((axis, i) => {
      byId(`viewer-${axis}-name`).textContent = (told.known ? axisNames : scanAxes)[i];
    });
    byId("viewer-frame-line").hidden = told.frames.length < 2;
    byId("viewer-frame").max = Math.max(0, told.frames.length - 1);
    if (told.frames.length > 1) {
      nv.setFrame4D(image.id, told.startFrame);
      showFrame(told.startFrame);
    }
    const side = told.known
      ? "The patient's right is on the left of the picture."
      : "Directions unknown: the axes are those of the scan.";
    byId("viewer-note").textContent =
      `${told.name}. ${side} For looking, not for measuring. ${told.note}`;
    nv.setSliceType(planeOf(image.dimsRAS));
    nv.scene.crosshairPos = told.start ? nv.mm2frac(told.start, 0, true) : [0.5, 0.5, 0.5];
    nv.createOnLocationChange();
    nv.drawScene();
    dialog.dataset.shown = id;
  }

  function open(id) {
    if (!dialog.open) dialog.showModal();
    notice("", byId(`${id}-error`));
    show(id).catch((error) => failed(id, error));
  }

  if (!canDraw()) {
    notice("This browser has no WebGL 2: the viewer is closed. Everything else is here; the pictures stand for the series.");
    return;
  }
  volumes.forEach((volume) => byId("viewer-series").add(new Option(volume.title, volume.id)));
  document.querySelectorAll(".open-viewer").forEach((button) => {
    button.hidden = false;
    button.addEventListener("click", () => open(button.dataset.volume));
  });
  byId("viewer-close").addEventListener("click", () => dialog.close());
  byId("viewer-series").addEventListener("change", (event) => open(event.target.value));
  byId("viewer-reset").addEventListener("click", () => setWindow(...told.window));
  ["viewer-low", "viewer-high"].forEach((id) => byId(id).addEventListener("change", () => {
    setWindow(byId("viewer-low").valueAsNumber, byId("viewer-high").valueAsNumber);
    showWindow();
  }));
  byId("viewer-frame").addEventListener("input", (event) => {
    nv.setFrame4D(image.id, event.target.valueAsNumber);
    nv.createOnLocationChange();
  });
  axes.forEach((axis, i) => byId(`viewer-${axis}`).addEventListener("input", (event) => {
    const at = [...nv.scene.crosshairPos];
    at[i] = flipped(i) ? 1 - event.target.valueAsNumber : event.target.valueAsNumber;
    nv.scene.crosshairPos = at;
    nv.createOnLocationChange();
    nv.drawScene();
  }));
})();
