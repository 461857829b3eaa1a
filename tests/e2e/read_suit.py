#!/usr/bin/python3
"""Reads FILE.suit with python3-cbor2 and nothing of fwswarm: a second opinion on what is signed.

Usage: read_suit.py FILE.suit [--image IMAGE]

Decodes the envelope, recomputes every digest in it, checks that each level is in canonical CBOR and
that key identifiers belong to the keys named, and prints the main fields as JSON.  With --image it
also hashes the image, flat and as a BEP 52 tree.  Signatures are not verified: the standard library
has no Ed25519.  Exit status 1 and one line on stderr when something disagrees."""

import argparse
import hashlib
import json
import sys
import uuid

import cbor2

TAG_ENVELOPE, TAG_SIGN1 = 107, 18
ALG_SHA256, ALG_ED25519 = -16, -19
CUSTOM = -257
BLOCK = 16384


class Mistake(Exception):
    pass


def require(holds, what):
    if not holds:
        raise Mistake(what)


def load(data, what):
    """Decodes one item that must be canonical and whole."""
    value = cbor2.loads(data)
    require(cbor2.dumps(value, canonical=True) == data, what + " is not canonical CBOR")
    return value


def wrapped_digest(content):
    """SUIT digests cover a byte string together with its head."""
    return hashlib.sha256(cbor2.dumps(content)).digest()


def read_digest(value, what):
    require(len(value) == 2 and value[0] == ALG_SHA256, what + " is not a SHA-256 digest")
    return bytes(value[1])


def read_signature(data):
    tag = load(data, "signature")
    require(tag.tag == TAG_SIGN1, "signature is not a COSE_Sign1")
    protected, unprotected, payload, signature = tag.value
    require(load(protected, "protected header") == {1: ALG_ED25519}, "algorithm is not Ed25519")
    require(payload is None, "payload is not detached")
    require(len(signature) == 64, "signature is not 64 bytes")
    return unprotected[4]


def pairs(sequence):
    return list(zip(sequence[::2], sequence[1::2]))


def read_manifest(data):
    manifest = load(data, "manifest")
    require(manifest[1] == 1, "manifest version is not 1")
    common = load(manifest[3], "common")
    require(common[2] == [[b"\0"]], "components are not [[h'00']]")
    shared = load(common[4], "shared sequence")
    require([command for command, _ in pairs(shared)] == [20, 1, 2], "unexpected shared sequence")
    require(load(manifest[7], "validate") == [3, 15], "unexpected validate sequence")
    parameters = shared[1]
    facts = load(parameters[CUSTOM], "private parameter")
    image = read_digest(load(parameters[3], "image digest"), "image digest")
    vendor_id = uuid.uuid5(uuid.NAMESPACE_DNS, facts[6])
    require(parameters[1] == vendor_id.bytes, "vendor id does not follow from the vendor")
    require(parameters[2] == uuid.uuid5(vendor_id, facts[4]).bytes, "class id does not follow")
    return {
        "sequence": manifest[2],
        "fleet": facts[2].hex(),
        "root_version": facts[3],
        "model": facts[4],
        "version": facts[5],
        "vendor": facts[6],
        "size": parameters[14],
        "digest": image.hex(),
        "root": facts[7].hex(),
        "piece_length": facts[8],
    }, read_digest(manifest[23], "text digest")


def read_envelope(data):
    tag = load(data, "envelope")
    require(tag.tag == TAG_ENVELOPE, "not a SUIT envelope")
    envelope = tag.value
    auth = load(envelope[2], "authentication wrapper")
    stated = read_digest(load(auth[0], "manifest digest"), "manifest digest")
    require(stated == wrapped_digest(envelope[3]), "manifest digest differs")
    fields, text_digest = read_manifest(envelope[3])
    if 23 in envelope:
        require(text_digest == wrapped_digest(envelope[23]), "text digest differs")
        (shown,) = load(envelope[23], "text")["en"].values()
        names = {1: fields["vendor"], 2: fields["model"], 6: fields["version"]}
        require(shown == names, "text shows other names")
    tokens = load(envelope["fwswarm.tokens"], "tokens")
    kids = [read_signature(one) for one in auth[1:]]
    require(kids == [hashlib.sha256(key).digest()[:8] for key, _ in tokens], "key ids differ")
    fields["manifest"] = stated.hex()
    fields["signers"] = [key.hex() for key, _ in tokens]
    return fields


def tree_root(path):
    """The pieces root of BEP 52, and the flat hash."""
    flat = hashlib.sha256()
    layer = []
    with open(path, "rb") as image:
        while block := image.read(BLOCK):
            flat.update(block)
            layer.append(hashlib.sha256(block).digest())
    pad = bytes(32)
    while len(layer) > 1:
        if len(layer) % 2:
            layer.append(pad)
        layer = [hashlib.sha256(a + b).digest() for a, b in zip(layer[::2], layer[1::2])]
        pad = hashlib.sha256(pad + pad).digest()
    return flat.hexdigest(), layer[0].hex()


def main():
    parser = argparse.ArgumentParser(description="reads a release without fwswarm")
    parser.add_argument("suit")
    parser.add_argument("--image")
    args = parser.parse_args()
    try:
        with open(args.suit, "rb") as f:
            fields = read_envelope(f.read())
        if args.image is not None:
            flat, root = tree_root(args.image)
            require(flat == fields["digest"], "image digest differs")
            require(root == fields["root"], "tree root differs")
    except KeyError as e:
        print(f"{args.suit}: lacks {e}", file=sys.stderr)
        return 1
    except (Mistake, ValueError, TypeError, AttributeError, IndexError) as e:
        print(f"{args.suit}: {e}", file=sys.stderr)
        return 1
    except (OSError, cbor2.CBORDecodeError) as e:
        print(e, file=sys.stderr)
        return 1
    print(json.dumps(fields, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
