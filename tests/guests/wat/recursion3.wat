;; recursion3: /N calls itself N deep and answers N; without N it never comes back.
(component
  ;; include imports3.wat
  ;; include lib3.wat
  (core module $Guest
    (import "host" "request.drop" (func $request.drop (param i32)))
    (import "lib" "number" (func $number (param i32 i64) (result i64)))
    (import "lib" "start" (func $start))
    (import "lib" "put-number" (func $put-number (param i64)))
    (import "lib" "finish" (func $finish))
    (func $depth (param $left i64) (result i64)
      (if (result i64) (i64.eqz (local.get $left))
        (then (i64.const 0))
        (else (i64.add (i64.const 1) (call $depth (i64.sub (local.get $left) (i64.const 1)))))))
    (func (export "handle") (param $request i32) (result i32)
      (local $depth i64)
      (local.set $depth (call $depth (call $number (local.get $request) (i64.const -1))))
      (call $request.drop (local.get $request))
      (call $start)
      (call $put-number (local.get $depth))
      (call $finish)
      (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32) (unreachable)))
  ;; include start.wat
  ;; include export3.wat
)
