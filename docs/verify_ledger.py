#!/usr/bin/env python3
"""A second verifier of Tamis ledgers: python3 verify_ledger.py DIRECTORY [KEY]

Checks every link of the chain and, with KEY (as `tamis ledger new-key` prints it), every signed
checkpoint in DIRECTORY/checkpoints.jsonl. Needs nothing but Python, and shares nothing with Tamis."""
import base64, hashlib, json, pathlib, sys
def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()

def canonical(record):  # RFC 8785, for records that hold no fractions
    if isinstance(record, dict):
        names = sorted(record, key=lambda name: name.encode("utf-16-be"))
        pairs = (canonical(name) + b":" + canonical(record[name]) for name in names)
        return b"{" + b",".join(pairs) + b"}"
    if isinstance(record, list):
        return b"[" + b",".join(map(canonical, record)) + b"]"
    return json.dumps(record, ensure_ascii=False).encode()

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493  # RFC 8032
D = -121665 * pow(121666, P - 2, P) % P

def point(encoded):  # RFC 8032, 5.1.3
    y, sign = int.from_bytes(encoded, "little") & (2**255 - 1), encoded[31] >> 7
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if y >= P or (x * x - square) % P or (x == 0 and sign):
        sys.exit("a signature or key is no point of the curve")
    x = P - x if x & 1 != sign else x
    return x, y, 1, x * y % P

def add(p, q):  # RFC 8032, 5.1.4
    a, b = (p[1] - p[0]) * (q[1] - q[0]), (p[1] + p[0]) * (q[1] + q[0])
    c, d = 2 * p[3] * q[3] * D, 2 * p[2] * q[2]
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P

def times(number, p):
    half = times(number >> 1, add(p, p)) if number else (0, 1, 1, 0)
    return add(half, p) if number & 1 else half

def signed(public, text, signature):  # RFC 8032, 5.1.7
    base_y = 4 * pow(5, P - 2, P) % P
    base, s = point(base_y.to_bytes(32, "little")), int.from_bytes(signature[32:], "little")
    hashed = int.from_bytes(hashlib.sha512(signature[:32] + public + text).digest(), "little")
    left, right = times(s, base), add(point(signature[:32]), times(hashed % L, point(public)))
    equal = lambda at: (left[at] * right[2] - right[at] * left[2]) % P == 0
    return s < L and equal(0) and equal(1)

def main(directory, key=None):
    expected, subtrees, head = {}, [], bytes(32)  # subtrees: (leaves, root), RFC 9162 2.1.1
    if key:
        name, ident, public = key.split("+", 2)
        public = base64.b64decode(public)[1:]
        for line in (directory / "checkpoints.jsonl").read_text().splitlines():
            if not line.endswith('"}'):
                continue  # cut off by a crash
            text, signatures = json.loads(line)["note"].rsplit("\n\n", 1)
            signatures = (line.split(" ") for line in signatures.splitlines())
            raw = base64.b64decode(next(line[2] for line in signatures if line[1] == name))
            if raw[:4].hex() != ident or not signed(public, text.encode() + b"\n", raw[4:]):
                sys.exit("a checkpoint is not signed by this key")
            origin, size, root = text.splitlines()[:3]
            expected[int(size)] = base64.b64decode(root)
    segments, number, begin = sorted(directory.glob("[0-9]*.jsonl")), 0, 0
    if int(segments[0].stem) > 1:  # what was before is retired: its tree is noted beside it
        size, *roots = segments[0].with_suffix(".tree").read_text().split()
        number = begin = int(size)
        sizes = (1 << bit for bit in range(63, -1, -1) if begin >> bit & 1)
        subtrees = [(size, bytes.fromhex(root)) for size, root in zip(sizes, roots)]
        head = bytes.fromhex(json.loads(segments[0].open().readline())["prev"])
    expected, cut = {at: root for at, root in expected.items() if at > begin}, begin == 0
    covered = max(expected, default=0) if key else float("inf")
    for segment in segments:
        for line in segment.read_bytes().split(b"\n")[:-1]:
            number, record = number + 1, json.loads(line)
            is_canonical = canonical(record) == line
            previous, stated = record.pop("prev"), record.pop("hash")
            retired = record["kind"] == "retired" and record["records"] >= begin
            cut = cut or retired and number <= covered  # by what was signed
            content = canonical(record)
            if not is_canonical or record["seq"] != number or previous != head.hex():
                sys.exit(f"record {number} is not as it must be")
            head = sha256(b"tamis-ledger-v1\0", head, len(content).to_bytes(4, "big"), content)
            if stated != head.hex():
                sys.exit(f"record {number} was changed")
            leaves, root = 1, sha256(b"\0", line)
            while subtrees and subtrees[-1][0] == leaves:
                leaves, root = 2 * leaves, sha256(b"\1", subtrees.pop()[1], root)
            subtrees.append((leaves, root))
            if number in expected:
                for _, left in subtrees[-2::-1]:
                    root = sha256(b"\1", left, root)
                if root != expected.pop(number):
                    sys.exit(f"the records up to {number} are not those that were signed")
    if not cut:
        sys.exit(f"records 1 to {begin} are missing, and nothing signed says that they were retired")
    if expected:
        sys.exit(f"record {min(expected)} was signed and is missing")
    print(f"{number} records, head {number}:{head.hex()}")

main(pathlib.Path(sys.argv[1]), *sys.argv[2:])
