;; exit: calls wasi:cli/exit before it answers: with success, or with failure where the path ends in a number but 0.
(component
  ;; include imports.wat
  ;; include lib.wat
  (import "wasi:cli/exit@0.2.0" (instance $exit
    (export "exit" (func (param "status" (result))))))
  (core func $exit (canon lower (func $exit "exit")))
  (core module $Guest
    (import "lib" "number" (func $number (param i32 i64) (result i64)))
    (import "exit" "exit" (func $exit (param i32)))
    (func (export "handle") (param $request i32) (param $out i32)
      (call $exit (i64.ne (call $number (local.get $request) (i64.const 0)) (i64.const 0)))
      (unreachable)))
  (core instance $guest (instantiate $Guest
    (with "lib" (instance $lib)) (with "exit" (instance (export "exit" (func $exit))))))
  ;; include export.wat
)
