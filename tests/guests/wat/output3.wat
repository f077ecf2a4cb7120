;; output3: /N answers N zero bytes, 16 KiB at a time; without N, 64 MiB.
(component
  ;; include imports3.wat
  ;; include lib3.wat
  (core module $Guest
    (import "host" "request.drop" (func $request.drop (param i32)))
    (import "memory" "memory" (memory 1))
    (import "lib" "number" (func $number (param i32 i64) (result i64)))
    (import "lib" "start" (func $start))
    (import "lib" "put" (func $put (param i32 i32) (result i32)))
    (import "lib" "finish" (func $finish))
    (func (export "handle") (param $request i32) (result i32)
      (local $left i32) (local $piece i32)
      (local.set $left (i32.wrap_i64 (call $number (local.get $request) (i64.const 67108864))))
      (call $request.drop (local.get $request))
      (call $start)
      (block $done
        (loop $next
          (br_if $done (i32.eqz (local.get $left)))
          (local.set $piece (select (i32.const 16384) (local.get $left)
            (i32.gt_u (local.get $left) (i32.const 16384))))
          (br_if $done (call $put (i32.const 4096) (local.get $piece)))
          (local.set $left (i32.sub (local.get $left) (local.get $piece)))
          (br $next)))
      (call $finish)
      (i32.const 0))
    (func (export "callback") (param i32 i32 i32) (result i32) (unreachable)))
  ;; include start.wat
  ;; include export3.wat
)
