// One file of src/index.js and what it imports, but not of the interfaces that the host provides.
import { SpinEsbuildPlugin } from "@spinframework/build-tools/plugins/esbuild/index.js";
import { build } from "esbuild";

await build({
  entryPoints: ["src/index.js"],
  outfile: "build/bundle.js",
  bundle: true,
  format: "esm",
  plugins: [await SpinEsbuildPlugin()],
});
