#!/bin/sh
# server: sbcl   class: A   debian: sbcl
# shows: a Lisp image, blocking accept
. "${0%/*}/lib/recipe.sh"

start() {
    cat >server.lisp <<'END'
(require :sb-bsd-sockets)
(let ((server (make-instance 'sb-bsd-sockets:inet-socket :type :stream :protocol :tcp)))
  (setf (sb-bsd-sockets:sockopt-reuse-address server) t)
  (sb-bsd-sockets:socket-bind server #(127 0 0 1) (parse-integer (second *posix-argv*)))
  (sb-bsd-sockets:socket-listen server 16)
  (loop
    (let* ((client (sb-bsd-sockets:socket-accept server))
           (stream (sb-bsd-sockets:socket-make-stream client :input t :output t :buffering :full)))
      (ignore-errors
       (format stream "sbcl ~a~%" (read-line stream))
       (finish-output stream))
      (close stream))))
END
    exec sbcl --script server.lisp "$port"
}

probe() {
    answers ping "sbcl ping"
}

recipe "$@"
