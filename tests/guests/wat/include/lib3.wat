  ;; What guests of WASI 0.3 import from "lib": answering in plain text, and the number in the path. What has to wait
  ;; waits where it is called, with the instance to itself: no other request gets in meanwhile. A failed call traps.
  (core module $Lib
    (import "memory" "memory" (memory 1))
    (import "memory" "reset" (func $reset))
    (import "host" "fields.new" (func $fields.new (result i32)))
    (import "host" "fields.append" (func $fields.append (param i32 i32 i32 i32 i32 i32)))
    (import "host" "request.path" (func $request.path (param i32 i32)))
    (import "host" "response.new" (func $response.new (param i32 i32 i32 i32 i32)))
    (import "host" "return" (func $return (param i32 i32 i32 i64 i32 i32 i32 i32)))
    (import "host" "stream.new" (func $stream.new (result i64)))
    (import "host" "stream.write-wait" (func $stream.write (param i32 i32 i32) (result i32)))
    (import "host" "stream.drop-writable" (func $stream.drop-writable (param i32)))
    (import "host" "sent.drop-readable" (func $sent.drop-readable (param i32)))
    (import "host" "ended.new" (func $ended.new (result i64)))
    (import "host" "ended.write-wait" (func $ended.write (param i32 i32) (result i32)))
    (import "host" "ended.drop-writable" (func $ended.drop-writable (param i32)))

    (data (i32.const 512) "content-type")
    (data (i32.const 524) "text/plain")
    (global $stream (mut i32) (i32.const 0))  ;; where the body goes
    (global $ended (mut i32) (i32.const 0))   ;; where the news go that it has ended

    ;; The end of a stream or future that the guest keeps: what is new is made as readable | writable << 32.
    (func $writable (export "writable") (param $pair i64) (result i32)
      (i32.wrap_i64 (i64.shr_u (local.get $pair) (i64.const 32))))

    ;; Headers that say text/plain; the caller may append to them.
    (func $headers (export "headers") (result i32)
      (local $headers i32)
      (local.set $headers (call $fields.new))
      (call $fields.append (local.get $headers)
        (i32.const 512) (i32.const 12) (i32.const 524) (i32.const 10) (i32.const 0))
      (if (i32.load8_u (i32.const 0)) (then (unreachable)))
      (local.get $headers))

    ;; A response with these headers, whose body is a stream: $contents and $trailers are what the host is to read.
    (func $response (export "response") (param $headers i32) (param $contents i32) (param $trailers i32) (result i32)
      (call $response.new (local.get $headers)
        (i32.const 1) (local.get $contents) (local.get $trailers) (i32.const 0))
      (call $sent.drop-readable (i32.load (i32.const 4)))
      (i32.load (i32.const 0)))

    ;; Let the task return a response. The task goes on.
    (func $return-response (export "return") (param $response i32)
      (call $return (i32.const 0) (local.get $response)
        (i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))

    ;; The usual beginning: status 200, text/plain, and a body that `put` writes.
    (func (export "start")
      (local $body i64) (local $end i64)
      (local.set $body (call $stream.new))
      (local.set $end (call $ended.new))
      (global.set $stream (call $writable (local.get $body)))
      (global.set $ended (call $writable (local.get $end)))
      (call $return-response
        (call $response (call $headers) (i32.wrap_i64 (local.get $body)) (i32.wrap_i64 (local.get $end)))))

    ;; Send bytes, as many at a time as the host takes. Returns 1 if it takes no more.
    (func $put (export "put") (param $at i32) (param $length i32) (result i32)
      (local $wrote i32)
      (loop $next
        (if (local.get $length) (then
          (local.set $wrote (call $stream.write (global.get $stream) (local.get $at) (local.get $length)))
          (if (i32.and (local.get $wrote) (i32.const 15)) (then (return (i32.const 1))))
          (local.set $wrote (i32.shr_u (local.get $wrote) (i32.const 4)))
          (local.set $at (i32.add (local.get $at) (local.get $wrote)))
          (local.set $length (i32.sub (local.get $length) (local.get $wrote)))
          (br $next))))
      (i32.const 0))

    ;; Send a number in decimal.
    (func (export "put-number") (param $number i64)
      (local $at i32)
      (local.set $at (i32.const 1024))
      (loop $digit
        (local.set $at (i32.sub (local.get $at) (i32.const 1)))
        (i32.store8 (local.get $at)
          (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $number) (i64.const 10)))))
        (local.set $number (i64.div_u (local.get $number) (i64.const 10)))
        (br_if $digit (i64.ne (local.get $number) (i64.const 0))))
      (drop (call $put (local.get $at) (i32.sub (i32.const 1024) (local.get $at)))))

    ;; The body has ended, and well.
    (func (export "finish")
      (call $stream.drop-writable (global.get $stream))
      (drop (call $ended.write (global.get $ended) (i32.const 128)))
      (call $ended.drop-writable (global.get $ended)))

    ;; The number N at the end of the path, as in /whatever/N, or $default where there is none.
    (func (export "number") (param $request i32) (param $default i64) (result i64)
      (local $at i32) (local $end i32) (local $byte i32) (local $found i64) (local $any i32)
      (call $request.path (local.get $request) (i32.const 0))
      (local.set $at (i32.load (i32.const 4)))
      (local.set $end (i32.add (local.get $at) (i32.load (i32.const 8))))
      (block $done
        (loop $next
          (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
          (local.set $byte (i32.load8_u (local.get $at)))
          (br_if $done (i32.eq (local.get $byte) (i32.const 63)))  ;; the query begins
          (local.set $at (i32.add (local.get $at) (i32.const 1)))
          (local.set $byte (i32.sub (local.get $byte) (i32.const 48)))
          (if (i32.lt_u (local.get $byte) (i32.const 10))
            (then
              (local.set $found (i64.add (i64.mul (local.get $found) (i64.const 10))
                (i64.extend_i32_u (local.get $byte))))
              (local.set $any (i32.const 1)))
            (else
              (local.set $found (i64.const 0))
              (local.set $any (i32.const 0))))
          (br $next)))
      (call $reset)
      (select (local.get $found) (local.get $default) (local.get $any))))
  (core instance $lib (instantiate $Lib (with "memory" (instance $memory)) (with "host" (instance $host))))
