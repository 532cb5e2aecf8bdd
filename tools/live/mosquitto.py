# SPDX-License-Identifier: Apache-2.0
import socket
import struct
import time

from common import Live, need


def text(s):
    return struct.pack(">H", len(s)) + s


class Mosquitto(Live):
    name = "mosquitto"
    source = "mosquitto"
    packages = ("mosquitto", "libmosquitto1")
    turn = 0

    def prepare(self):
        self.write("mosquitto.conf", f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\n"
                   f"persistence true\npersistence_location {self.root}/\nlog_dest stderr\n")

    def start(self):
        self.spawn([self.path("usr/sbin/mosquitto"), "-c", self.path("mosquitto.conf")])

    def request(self):
        self.turn += 1
        topic, body = b"t/%d" % self.turn, b"body-%d" % self.turn
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as s:
            f = s.makefile("rb")

            def packet(kind, payload):
                need(len(payload) < 128, "too long")
                s.sendall(bytes([kind, len(payload)]) + payload)

            def answer():
                head = f.read(2)
                need(len(head) == 2, "the connection was closed")
                return head[0], f.read(head[1])

            packet(0x10, text(b"MQTT") + b"\x04\x02\x00\x3c" + text(b"c%d-%d" % (self.turn, time.monotonic_ns() % 10**9)))
            need(answer() == (0x20, b"\0\0"), "no CONNACK")
            packet(0x82, b"\0\1" + text(topic) + b"\1")
            need(answer()[0] == 0x90, "no SUBACK")
            packet(0x32, text(topic) + b"\0\2" + body)
            kinds = {}
            for _ in range(2):
                kind, payload = answer()
                kinds[kind & 0xf0] = payload
            need(0x40 in kinds and body in kinds.get(0x30, b""), "the message did not come back")
            packet(0xe0, b"")

    def check(self):
        for _ in range(3):
            self.request()
