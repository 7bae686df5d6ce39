#!/usr/bin/env python3
"""A fixture of n8n's program: the commands that larder uses, as documented, on files in $N8N_USER_FOLDER/.n8n.

Not n8n: it knows no nodes and runs nothing. Credentials are encrypted as n8n does it, by `openssl`.
"""
import base64, errno, json, os, signal, subprocess, sys, time

folder = os.path.join(os.environ.get("N8N_USER_FOLDER") or os.environ["HOME"], ".n8n")
os.makedirs(folder, exist_ok=True)


def load(name, otherwise):
    try:
        with open(os.path.join(folder, name)) as file:
            return json.load(file)
    except FileNotFoundError:
        return otherwise


def give_up(message):
    print(message)
    print(message, file=sys.stderr)
    sys.exit(1)


def save(name, what):
    """All of it or nothing, as in a transaction."""
    place = os.path.join(folder, name)
    try:
        with open(place + ".new", "w") as file:
            json.dump(what, file)
        os.replace(place + ".new", place)
    except OSError as error:
        os.remove(place + ".new")
        give_up("There was an error: SQLITE_FULL: database or disk is full" if error.errno == errno.ENOSPC else str(error))


# As it starts: the key in its settings and the one in its environment must be the same; without either it makes one up.
given, settings = os.environ.get("N8N_ENCRYPTION_KEY"), load("config", None)
if settings is None:
    settings = {"encryptionKey": given or base64.b64encode(os.urandom(24)).decode()}
    save("config", settings)
if given and given != settings["encryptionKey"]:
    give_up("Error: Mismatching encryption keys.")
print("Permissions 0644 for n8n settings file are too wide.")

command, options = sys.argv[1], dict(one.lstrip("-").partition("=")[::2] for one in sys.argv[2:])
with open(os.path.join(folder, "calls"), "a") as file:
    file.write(" ".join(sys.argv[1:]) + "\n")
if os.path.exists(os.path.join(folder, "broken")):
    give_up("There was an error: SQLITE_CORRUPT: database disk image is malformed")


def openssl(data, *more):
    words = ["openssl", "enc", "-aes-256-cbc", "-md", "md5", "-base64", "-A", "-pass", "env:KEY", *more]
    return subprocess.run(words, input=data.encode(), env={**os.environ, "KEY": settings["encryptionKey"]}, capture_output=True)


def encrypted(data):
    return openssl(json.dumps(data), "-salt").stdout.decode()


def decrypted(data):
    opened = openssl(data, "-d")
    try:
        return json.loads(opened.stdout)
    except ValueError:
        give_up("Credentials could not be decrypted. The likely reason is that a different \"encryptionKey\" was used.")


if command == "start":
    print("Editor is now accessible via:", flush=True)
    signal.pause()
elif command == "make":
    save("workflow.json", [{"id": str(n), "name": f"flow {n}", "active": True} for n in range(3)])
    save("credentials.json", [{"id": "c", "name": "shop", "data": encrypted("token of the shop")}])
elif command == "open":
    for one in load("credentials.json", []):
        print(decrypted(one["data"]))
elif command.startswith("export:"):
    kind = command.split(":")[1]
    things = load(kind + ".json", [])
    if "all" not in options:
        give_up('Either option "--all" or "--id" have to be set!')
    if not things:
        give_up(f"No {'workflows' if kind == 'workflow' else kind} found with specified filters")
    if kind == "credentials" and "decrypted" in options:
        things = [{**one, "data": decrypted(one["data"])} for one in things]
    with open(options["output"], "w") as file:
        endless = os.path.exists(os.path.join(folder, "endless"))
        file.write("[" * endless)
        while endless:
            file.write(json.dumps({"id": "x" * 1000000}) + ",")
            save("going", True)
        json.dump(things, file)
    print(f"Successfully exported {len(things)} things.")
elif command.startswith("import:"):
    kind = command.split(":")[1]
    with open(options["input"]) as file:
        new = json.load(file)
    while kind == "workflow" and os.path.exists(os.path.join(folder, "slow")):
        time.sleep(0.02)
    things = {one["id"]: one for one in load(kind + ".json", [])}
    for one in new:
        if isinstance(one.get("data"), dict):
            one["data"] = encrypted(one["data"])
        things[one["id"]] = {**one, "active": False} if kind == "workflow" else one
    save(kind + ".json", list(things.values()))
    with open(os.path.join(folder, "calls"), "a") as file:
        file.write("done\n")
    print(f"Successfully imported {len(new)} things.")
else:
    give_up(f"command {command} not found")
