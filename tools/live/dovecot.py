# SPDX-License-Identifier: Apache-2.0
import imaplib
import os
import threading

from common import Live, need


class Dovecot(Live):
    name = "dovecot"
    source = "dovecot"
    packages = ("dovecot-core", "dovecot-imapd")
    library_dirs = ("usr/lib/dovecot", "usr/lib/dovecot/modules")
    private = True
    users = ("dovecot", "dovenull")
    overlays = (("bare", "usr/lib"),)
    programs = ("usr/bin/doveconf",)
    forks = True
    workers = 1

    def prepare(self):
        self.directory("base")
        self.directory("usr/lib/dovecot/modules/login")
        self.directory("bare/dovecot")
        os.symlink(self.path("usr/lib/dovecot/modules"), self.path("bare/dovecot/modules"))
        self.directory("mail", owner="nobody", mode=0o777)
        os.chmod(self.root, 0o755)
        self.write("users", "u:{PLAIN}secret:65534:65534::" + self.path("mail") + "::\n", 0o644)
        self.write("dovecot.conf", f"""
base_dir = {self.root}/base
state_dir = {self.root}/base
libexec_dir = {self.root}/usr/lib/dovecot
mail_plugin_dir = {self.root}/usr/lib/dovecot/modules
login_plugin_dir = {self.root}/usr/lib/dovecot/modules/login
version_ignore = yes
protocols = imap
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
log_path = {self.root}/dovecot.log
default_internal_user = dovecot
default_login_user = dovenull
import_environment = LD_LIBRARY_PATH
mail_location = maildir:{self.root}/mail
first_valid_uid = 1
last_valid_uid = 0
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {self.port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  chroot =
}}
passdb {{
  driver = passwd-file
  args = {self.root}/users
}}
userdb {{
  driver = passwd-file
  args = {self.root}/users
}}
""")

    one_at_a_time = threading.Lock()  # another client would expunge the message meanwhile

    def start(self):
        self.spawn([self.path("usr/sbin/dovecot"), "-F", "-c", self.path("dovecot.conf")])

    def request(self):
        with self.one_at_a_time:
            self.session()

    def session(self):
        m = imaplib.IMAP4("127.0.0.1", self.port, timeout=10)
        m.login("u", "secret")
        m.append("INBOX", None, None, b"From: a\r\nSubject: hello\r\n\r\nbody\r\n")
        m.select()
        kind, found = m.search(None, "SUBJECT", "hello")
        need(kind == "OK" and found[0], "the message was not found")
        last = found[0].split()[-1]
        need(b"body" in m.fetch(last, "(RFC822)")[1][0][1], "the message differs")
        m.store(last, "+FLAGS", "\\Deleted")
        m.expunge()
        m.logout()
