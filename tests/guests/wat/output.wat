;; output: /N answers N zero bytes, flushing every 4096; without N, 64 MiB.
(component
  ;; include imports.wat
  ;; include lib.wat
  (core module $Guest
    (import "lib" "number" (func $number (param i32 i64) (result i64)))
    (import "lib" "start" (func $start (param i32)))
    (import "lib" "put" (func $put (param i32 i32)))
    (import "lib" "finish" (func $finish))
    (func (export "handle") (param $request i32) (param $out i32)
      (local $left i64) (local $piece i64)
      (local.set $left (call $number (local.get $request) (i64.const 67108864)))
      (call $start (local.get $out))
      (block $done
        (loop $next
          (br_if $done (i64.eqz (local.get $left)))
          (local.set $piece (select (i64.const 4096) (local.get $left)
            (i64.gt_u (local.get $left) (i64.const 4096))))
          (call $put (i32.const 4096) (i32.wrap_i64 (local.get $piece)))
          (local.set $left (i64.sub (local.get $left) (local.get $piece)))
          (br $next)))
      (call $finish)))
  ;; include start.wat
  ;; include export.wat
)
