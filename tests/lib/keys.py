"""The keys of the consumer's configuration as its manuals show them: made from
what sluice-consumer --help-config=json says, by tests/manual."""

import json

FILE = {
    "type": "object", "required": ["file"],
    "properties": {"file": {"type": "string"}},
    "additionalProperties": False,
    "description": "The content of a file, without its last line end."
                   " ${CREDENTIALS_DIRECTORY} is replaced in its name.",
}
REF = {"$ref": "#/$defs/file"}
STRINGS = ("string", "secret", "size", "time", "enum", "pointer", "text")
OTHERS = {
    "bool": {"type": "boolean"},
    "share": {"type": "number", "minimum": 0, "maximum": 1},
    "names": {"type": "array", "minItems": 1, "uniqueItems": True,
              "items": {"type": "string", "minLength": 1}},
    "json": {},
}
PATTERNS = {"size": "^[0-9]+[kKmMgG]?$", "time": "^[0-9]+(ms|s|m|h|d)$"}


def leaf(key):
    return key["path"].rpartition(".")[2]


def markdown(keys):
    """The table of docs/reference/consumer.md."""
    lines = ["| key | takes | default | meaning |", "| --- | --- | --- | --- |"]
    for key in keys:
        default = f"`{key['default']}`" if "default" in key \
            else "required" if key["required"] else "–"
        lines.append(f"| `{key['path']}` | {key['takes']} | {default}"
                     f" | {key['doc']} |")
    return "\n".join(lines) + "\n"


def escaped(text):
    """A sentence a line, as mdoc(7) wants it; names in bold."""
    bold, out = False, ""
    for char in text:
        if char == "`":
            bold = not bold
            out += "\\fB" if bold else "\\fP"
        elif char == "\\":
            out += "\\e"
        else:
            out += "\n" if char == " " and out[-1:] == "." else char
    return out


def mdoc(keys):
    """The list of sluice-consumer.conf(5)."""
    out = ".Bl -tag -width Ds\n"
    for key in keys:
        takes = escaped(key["takes"][0].upper() + key["takes"][1:])
        default = "; required" if key["required"] else \
            f"; default {escaped(key['default'])}" if "default" in key else ""
        out += f".It Cm {key['path']}\n{takes}{default}.\n"
        out += escaped(key["doc"]) + "\n"
        if "example" in key:
            out += f".Bd -literal -compact\n\"{leaf(key)}\": " \
                   f"{escaped(key['example'])}\n.Ed\n"
    return out + ".El\n"


def section(keys, parent):
    """The schema of an object whose keys lie right below a path, or are its
    keys too."""
    below = [key for key in keys if parent in (key["path"].rpartition(".")[0],
                                               key.get("also"))]
    required = [leaf(key) for key in below
                if key["also_required" if key.get("also") == parent
                       else "required"]]
    return {"type": "object",
            "properties": {leaf(key): value(keys, key) for key in below},
            **({"required": required} if required else {}),
            "additionalProperties": False}


def string(key):
    one = {"type": "string"}
    if key["kind"] in PATTERNS:
        one["pattern"] = PATTERNS[key["kind"]]
    elif key["kind"] == "string":
        one["minLength"] = 1
    elif key["kind"] == "enum":
        one["enum"] = key["choices"].split("|")
    return {"anyOf": [one, REF]}


def custom(keys, key):
    """What a row's own fragment of a schema and the rows below it say."""
    schema = json.loads(f"{{ {key['schema']} }}")
    rows = section(keys, key["path"] + ".*")
    if rows["properties"]:
        schema["additionalProperties"] = {
            "anyOf": [{"type": "string"}, rows, REF]}
    return schema


def value(keys, key):
    kind = key["kind"]
    if kind in STRINGS:
        schema = string(key)
    elif kind == "count":
        schema = {"type": "integer", "minimum": int(key["min"]),
                  "maximum": int(key["max"])}
    elif kind == "section":
        schema = section(keys, key["path"])
    else:
        schema = dict(OTHERS[kind]) if kind in OTHERS else custom(keys, key)
    schema["description"] = key["doc"]
    if "default" in key:
        schema["default"] = json.loads(key["default"])
    if "example" in key:
        schema["examples"] = [json.loads(key["example"])]
    return schema


def printed(data, depth=0):
    """Members in lines of their own, elements in one."""
    if isinstance(data, dict):
        inner = ",\n".join(
            f"{'  ' * (depth + 1)}{json.dumps(name)}: "
            f"{printed(item, depth + 1)}" for name, item in data.items())
        return f"{{\n{inner}\n{'  ' * depth}}}"
    if isinstance(data, list):
        return f"[{', '.join(printed(item, depth + 1) for item in data)}]"
    return json.dumps(data, ensure_ascii=False)


def schema(keys):
    """docs/sluice-consumer.schema.json, for editors."""
    return printed({
        **section(keys, ""),
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Configuration of sluice-consumer",
        "$defs": {"file": FILE},
    }) + "\n"
