"""Kills one device again and again in the middle of its download.

    kill9.py PEER DEVICE TRACKER-ADDRESS IMAGE KILLS SEED

The device is started, left alone for a random while, killed with SIGKILL and started again.  After
each kill the blocks in its file that are the image's are counted, from outside; the next start may
count fewer of them as verified (what was written and not committed is forgotten), never more.
Prints ok and not ok lines, and at the end `marked`, `lost` and `fetched`, for the caller.
"""
import glob
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time

BLOCK = 16384
LIFE_LEAST, LIFE_MOST = 0.02, 0.7  # seconds


class Device:
    def __init__(self, program, name, tracker):
        self.name, self.data = name, os.path.join(name, "data")
        self.command = [program, "run", "--device", name, "--data", self.data, "--lan", "off",
                        "--listen", "127.0.0.1:0", "--reserve", "0", "--tracker", tracker]
        self.process = None

    def start(self):
        with open(self.name + ".log", "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        return self.process.wait(10)

    def image(self):
        """What it says of its newest image; {} before it says anything."""
        try:
            with socket.socket(socket.AF_UNIX) as control:
                control.settimeout(5)
                control.connect(os.path.join(self.data, "control.sock"))
                control.sendall(b'{"cmd":"status"}\n')
                with control.makefile("rb") as answer:
                    images = json.loads(answer.readline())["images"]
        except (OSError, ValueError):
            return {}
        return next((one for one in images if one["newest"]), {})

    def right_blocks(self, image):
        """How many blocks of its file are the image's."""
        files = glob.glob(os.path.join(self.data, "images", "*"))
        if not files:
            return 0
        with open(files[0], "rb") as file:
            held = file.read()
        return sum(held[at:at + BLOCK] == image[at:at + BLOCK]
                   for at in range(0, len(image), BLOCK))


def resumed_of(device):
    """Blocks that the process which runs now took over; None when it did not say within 5 s."""
    end = time.monotonic() + 5
    with open(device.name + ".log", "rb") as log:
        log.seek(device.mark)
        while time.monotonic() < end:
            for line in log.readlines():
                if b"ev=image.open" in line:
                    return int(line.split(b"blocks=")[1].split(b"/")[0])
            time.sleep(0.01)
    return None


def say(holds, name):
    print("ok" if holds else "not ok", name, flush=True)
    return holds


def main():
    program, name, tracker, image_path, kills, seed = sys.argv[1:]
    with open(image_path, "rb") as file:
        image = file.read()
    chance = random.Random(int(seed))
    device = Device(program, name, tracker)
    blocks = -(-len(image) // BLOCK)
    done = too_much = early = 0
    lost, previous, tries = [], None, 0
    try:
        while done < int(kills) and tries < 3 * int(kills):
            tries += 1
            device.mark = os.path.getsize(name + ".log") if os.path.exists(name + ".log") else 0
            device.start()
            begun = time.monotonic()
            life = chance.uniform(LIFE_LEAST, LIFE_MOST)
            if previous is not None and life > 0.3:
                taken = resumed_of(device)
                if taken is not None:
                    lost.append(previous - taken)
                    too_much += taken > previous
            time.sleep(max(0, begun + life - time.monotonic()))
            status = device.process.poll()
            if status is not None:
                print("    ended by itself with", status)
                early += 1
            device.kill()
            previous = device.right_blocks(image)
            if previous == blocks:
                break
            done += 1
        say(done >= int(kills), "killed-%s-times-before-it-was-complete" % kills)
        say(early == 0, "always-started")
        say(len(lost) >= done // 3, "resumed-blocks-seen")
        say(too_much == 0, "nothing-unverified-trusted")
        # A batch is what came while the one before it was synced: a few blocks on a machine that is
        # not busy, and never more than may be on the way to storage at once (limits.store_ops).
        usual = sorted(lost)[len(lost) // 2] if lost else 0
        say(max(lost, default=0) <= 512 and usual <= 64, "lost-no-more-than-a-batch")
        print("killed", done, "lost", sum(max(0, count) for count in lost), "of", len(lost), "most",
              max(lost, default=0), "held", previous)
    finally:
        if device.process.poll() is None:
            device.kill()


main()
