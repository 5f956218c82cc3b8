// A form made from a JSON schema as pydantic writes it: every field with its limits, its help and a place for its faults.
// A part of the form is {element, read()}; `fields` finds the control of a JSON pointer.
"use strict";

class SchemaForm {
  /** `choices` are options of string fields by pointer; `changed` is called after every edit. */
  constructor(schema, { choices = {}, changed = () => {} } = {}) {
    this.schema = schema;
    this.choices = choices;
    this.changed = changed;
    this.fields = new Map();
    this.made = 0;
  }

  resolve(schema) {
    return schema.$ref ? { ...this.schema.$defs[schema.$ref.split("/").at(-1)], ...without(schema, "$ref") } : schema;
  }

  /** What a new part begins with. */
  initial(given) {
    const schema = this.resolve(given);
    if ("default" in schema) return schema.default;
    if ("const" in schema) return schema.const;
    if (schema.oneOf) return this.initial(schema.oneOf[0]);
    if (schema.type === "object") return Object.fromEntries(Object.entries(schema.properties || {}).map(([name, each]) => [name, this.initial(each)]));
    return { array: [], boolean: false, string: "" }[schema.type] ?? null;
  }

  build(name, given, value, pointer, { open = false } = {}) {
    let schema = this.resolve(given);
    const optional = Boolean(schema.anyOf?.some((each) => each.type === "null"));
    if (optional) schema = { ...this.resolve(schema.anyOf.find((each) => each.type !== "null")), ...without(schema, "anyOf") };
    if ("const" in schema) return { element: null, read: () => schema.const };
    if (schema.oneOf) return this.union(name, schema, value, pointer);
    if (schema.type === "object") return this.group(name, schema, value, pointer, open);
    if (schema.type === "array" && this.resolve(schema.items).type === "object") return this.list(name, schema, value, pointer);
    return this.field(name, schema, value, pointer, optional);
  }

  /** The properties of an object, each with its own part. */
  properties(schema, value, pointer) {
    const place = make("div", { className: "fields" });
    const parts = Object.entries(schema.properties || {}).map(([name, each]) => {
      const part = this.build(name, each, value?.[name] ?? (value && name in value ? null : this.initial(each)), `${pointer}/${name}`);
      return [name, part];
    });
    // What is a group of its own stands below the single fields.
    const elements = parts.map(([, part]) => part.element).filter(Boolean);
    place.append(...elements.filter((each) => each.matches(".field")), ...elements.filter((each) => !each.matches(".field")));
    return { element: place, read: () => Object.fromEntries(parts.map(([name, part]) => [name, part.read()])) };
  }

  group(name, schema, value, pointer, open) {
    const inner = this.properties(schema, value, pointer);
    const element = make("details", { className: "group", open });
    element.append(make("summary", { textContent: titled(name) }), ...help(schema.description), inner.element);
    return { element, read: inner.read };
  }

  union(name, schema, value, pointer) {
    const variants = Object.fromEntries(schema.oneOf.map((each) => [this.resolve(each).properties.kind.const, this.resolve(each)]));
    const element = make("fieldset", { className: "group" });
    const id = this.id();
    const select = make("select", { id });
    select.append(...Object.keys(variants).map((kind) => make("option", { value: kind, textContent: kind.replaceAll("_", " ") })));
    select.value = value?.kind ?? Object.keys(variants)[0];
    const about = make("p", { className: "help", id: `${id}-help` });
    const fault = make("p", { className: "fault", id: `${id}-fault`, hidden: true });
    select.setAttribute("aria-describedby", `${about.id} ${fault.id}`);
    const choice = make("div", { className: "field" });
    choice.append(make("label", { htmlFor: id, textContent: `Kind of ${titled(name).toLowerCase()}` }), select, about, fault);
    const place = make("div");
    let inner;
    const show = (held) => {
      for (const known of [...this.fields.keys()]) if (known.startsWith(`${pointer}/`)) this.fields.delete(known);
      inner = this.properties(variants[select.value], held, pointer);
      about.textContent = plain(variants[select.value].description);
      place.replaceChildren(inner.element);
    };
    select.addEventListener("change", () => { show(this.initial(without(variants[select.value], "default"))); this.changed(); });
    this.fields.set(pointer, { control: select, fault });
    show(value);
    element.append(make("legend", { textContent: titled(name) }), choice, place);
    return { element, read: () => inner.read() };
  }

  list(name, schema, value, pointer) {
    const element = make("fieldset", { className: "group" });
    const place = make("div", { className: "items" });
    let parts = [];
    const fill = (values) => {
      for (const known of [...this.fields.keys()]) if (known.startsWith(`${pointer}/`)) this.fields.delete(known);
      parts = values.map((each, at) => this.group(`${titled(name).replace(/s$/, "")} ${at + 1}`, this.resolve(schema.items), each, `${pointer}/${at}`, false));
      place.replaceChildren(...parts.map((part, at) => {
        const remove = make("button", { type: "button", textContent: `Remove ${titled(name).toLowerCase().replace(/s$/, "")} ${at + 1}` });
        remove.addEventListener("click", () => { fill(parts.map((each) => each.read()).filter((_, other) => other !== at)); this.changed(); });
        part.element.append(remove);
        return part.element;
      }));
    };
    const add = make("button", { type: "button", textContent: `Add one more` });
    add.addEventListener("click", () => { fill([...parts.map((part) => part.read()), value?.at(-1) ?? this.initial(schema.items)]); this.changed(); });
    fill(value ?? []);
    element.append(make("legend", { textContent: titled(name) }), ...help(schema.description), place, add);
    return { element, read: () => parts.map((part) => part.read()) };
  }

  field(name, schema, value, pointer, optional) {
    const id = this.id();
    const truth = schema.type === "boolean";
    const element = make("div", { className: truth ? "field truth" : "field" });
    const [control, read] = this.control(schema, value, optional, this.choices[pointer]);
    control.id = id;
    const label = make("label", { htmlFor: id, textContent: titled(name) });
    const about = help([plain(schema.description), limits(schema, optional)].filter(Boolean).join("; "));
    about.forEach((each) => { each.id = `${id}-help`; });
    const fault = make("p", { className: "fault", id: `${id}-fault`, hidden: true });
    control.setAttribute("aria-describedby", [...about.map((each) => each.id), fault.id].join(" "));
    element.append(...(truth ? [control, label] : [label, control]), ...about, fault);
    this.fields.set(pointer, { control, fault });
    return { element, read };
  }

  control(schema, value, optional, choices) {
    if (schema.type === "boolean") {
      const box = make("input", { type: "checkbox", checked: Boolean(value) });
      return [box, () => box.checked];
    }
    if (schema.enum || choices) {
      const select = make("select");
      const options = choices && value && !choices.includes(value) ? [value, ...choices] : (choices ?? schema.enum);
      if (optional) select.append(make("option", { value: "", textContent: "none" }));
      select.append(...options.map((each) => make("option", { value: each, textContent: each })));
      select.value = value ?? "";
      return [select, () => select.value || null];
    }
    if (schema.type === "array") {
      const items = this.resolve(schema.items);
      const numbers = items.type === "integer" || items.type === "number";
      const input = make("input", { value: (value ?? []).join(", "), placeholder: numbers ? "0, 1, 2" : "divided by commas" });
      const split = () => input.value.split(",").map((each) => each.trim()).filter(Boolean);
      return [input, () => (optional && !input.value.trim() ? null : split().map((each) => (numbers && each !== "" && !Number.isNaN(Number(each)) ? Number(each) : each)))];
    }
    if (schema.type === "integer" || schema.type === "number") {
      const input = make("input", { type: "number", step: schema.type === "integer" ? "1" : "any", value: value ?? "", placeholder: optional ? "none" : "" });
      const least = schema.minimum ?? schema.exclusiveMinimum;
      const most = schema.maximum ?? schema.exclusiveMaximum;
      if (least !== undefined) input.min = least;
      if (most !== undefined) input.max = most;
      return [input, () => (input.value === "" ? null : Number(input.value))];
    }
    const input = make("input", { value: value ?? "", maxLength: schema.maxLength ?? 4096 });
    return [input, () => (optional && !input.value ? null : input.value)];
  }

  /** Shows what is wrong at the fields; answers what belongs to no field. */
  showFaults(faults) {
    for (const { control, fault } of this.fields.values()) {
      control.removeAttribute("aria-invalid");
      fault.hidden = true;
      fault.textContent = "";
    }
    return faults.filter(({ pointer, detail }) => {
      let place = pointer ?? "";
      while (place && !this.fields.has(place)) place = place.slice(0, place.lastIndexOf("/"));
      if (!place) return true;
      const { control, fault } = this.fields.get(place);
      control.setAttribute("aria-invalid", "true");
      fault.textContent = [fault.textContent, detail].filter(Boolean).join("; ");
      fault.hidden = false;
      for (let each = control.closest("details"); each; each = each.parentElement.closest("details")) each.open = true;
      return false;
    });
  }

  id() {
    this.made += 1;
    return `field-${this.made}`;
  }
}

function without(object, name) {
  const { [name]: _, ...rest } = object;
  return rest;
}

function titled(name) {
  const words = name.replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function plain(text) {
  return (text ?? "").replaceAll("`", "").replace(/\s+/g, " ");
}

function help(text) {
  return text ? [make("p", { className: "help", textContent: plain(text) })] : [];
}

function limits(schema, optional) {
  const least = schema.minimum !== undefined ? `at least ${schema.minimum}` : schema.exclusiveMinimum !== undefined ? `above ${schema.exclusiveMinimum}` : "";
  const most = schema.maximum !== undefined ? `at most ${schema.maximum}` : schema.exclusiveMaximum !== undefined ? `below ${schema.exclusiveMaximum}` : "";
  return [least, most, optional ? "may be empty" : ""].filter(Boolean).join(", ");
}
