FROM node:26-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY migrations ./migrations
COPY src ./src
RUN npm run build

FROM node:26-slim AS production
WORKDIR /app
# Leaves out the embedded PostgreSQL, the only optional dependency: a container gets a DATABASE_URL.
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --omit=optional
COPY bin ./bin
COPY templates ./templates
COPY --from=build /build/dist ./dist

ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000
EXPOSE 3000
USER node
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "--eval", "fetch(`http://127.0.0.1:${process.env.PORT}/health/live`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
CMD ["node", "dist/src/cli.js", "start"]
