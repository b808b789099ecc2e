"""Keys and certificates of a test, by openssl."""

import subprocess


def openssl(directory, *words):
    subprocess.run(["openssl", *words], cwd=directory, check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                   stderr=subprocess.STDOUT)


def certificate(directory, name, subject, authority=None):
    """name.key and name.pem, signed by authority or by itself."""
    openssl(directory, "req", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key",
            "-subj", subject, *(
                ["-out", f"{name}.csr"] if authority else
                ["-x509", "-days", "2", "-out", f"{name}.pem"]))
    if authority:
        openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA",
                f"{authority}.pem", "-CAkey", f"{authority}.key",
                "-CAcreateserial", "-days", "2", "-out", f"{name}.pem")
