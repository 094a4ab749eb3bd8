// SPDX-License-Identifier: GPL-3.0-or-later
// Copyright (c) 2026 The gonka.devshard authors

// The dashboard of the collection, drawn with Grafana's own components. Prometheus serves this page and answers the
// queries. What a Grafana server and its plugins do between the two is here: variables, intervals, data frames, and
// the defaults of the panels' plugins.

import {
  FieldType,
  ThemeContext,
  applyFieldOverrides,
  cacheFieldDisplayNames,
  createTheme,
  dateTime,
  getFieldDisplayValues,
  rangeUtil,
  renderLegendFormat,
  standardFieldConfigEditorRegistry,
  standardTransformers,
  standardTransformersRegistry,
  toDataFrame,
  transformDataFrame,
} from '@grafana/data';
import {
  BigValue,
  BigValueColorMode,
  BigValueGraphMode,
  BigValueJustifyMode,
  BigValueTextMode,
  GlobalStyles,
  Icon,
  InlineLabel,
  MultiSelect,
  PanelChrome,
  RefreshPicker,
  TimeSeries,
  ToolbarButton,
} from '@grafana/ui';
import { TableNG } from '@grafana/ui/unstable';
import { createRoot } from 'react-dom/client';
import { lastValueFrom } from 'rxjs';

const CELL = 30;
const GAP = 8;
const COLUMNS = 24;
const WIDTH = 1440;
const PADDING = 16;
const ZONE = 'utc';
// What fieldConfig may have; Grafana's panels register the same, with how it is edited.
const SETTINGS = ['color', 'decimals', 'displayName', 'mappings', 'max', 'min', 'noValue', 'thresholds', 'unit', 'custom'];
const OF_TABLES = ['width', 'minWidth'];
const TIMESERIES = { lineWidth: 1, fillOpacity: 0, pointSize: 5, spanNulls: false };
const TABLE = { align: 'auto', cellOptions: { type: 'auto' }, inspect: false };

const theme = createTheme({ colors: { mode: 'light' } });
const given = new URLSearchParams(location.search);
const to = Number(given.get('end'));
const nothing = () => {};

async function ask(path, parameters) {
  const answer = await (await fetch(`/api/v1/${path}?${new URLSearchParams(parameters)}`)).json();
  if (answer.status !== 'success') {
    throw new Error(`${answer.error}: ${JSON.stringify(parameters)}`);
  }
  return answer.data;
}

function rangeOf(dashboard) {
  const hours = /^now-(\d+)h$/.exec(dashboard.time.from)[1];
  return {
    from: dateTime((to - hours * 3600) * 1000),
    to: dateTime(to * 1000),
    raw: { from: dashboard.time.from, to: dashboard.time.to },
  };
}

// All values of each variable that asks Prometheus.
async function valuesOf(dashboard, range) {
  const found = {};
  for (const variable of dashboard.templating.list.filter((one) => one.type === 'query')) {
    const [, metric, label] = /^label_values\((\w+), (\w+)\)$/.exec(variable.query.query);
    found[variable.name] = await ask(`label/${label}/values`, {
      'match[]': metric,
      start: range.from.unix(),
      end: range.to.unix(),
    });
  }
  return found;
}

function filled(expression, variables) {
  return expression.replace(/\$(\w+)/g, (_, name) => {
    const escaped = variables[name].map((value) => value.replace(/[.*+?^${}()|[\]]/g, '\\\\$&'));
    return escaped.length > 1 ? `(${escaped.join('|')})` : escaped[0];
  });
}

async function lines(target, query, range, width) {
  const step = rangeUtil.calculateInterval(range, width, '15s').intervalMs;
  const aligned = (time) => (Math.floor(time.valueOf() / step) * step) / 1000;
  const data = await ask('query_range', {
    query,
    start: aligned(range.from),
    end: aligned(range.to),
    step: step / 1000,
  });
  return data.result.map(({ metric, values }) =>
    toDataFrame({
      refId: target.refId,
      fields: [
        { name: 'Time', type: FieldType.time, config: { interval: step }, values: values.map(([at]) => at * 1000) },
        {
          name: 'Value',
          type: FieldType.number,
          labels: metric,
          config: target.legendFormat ? { displayNameFromDS: renderLegendFormat(target.legendFormat, metric) } : {},
          values: values.map(([, value]) => Number(value)),
        },
      ],
    })
  );
}

async function table(target, query, many) {
  const { result } = await ask('query', { query, time: to });
  const labels = [...new Set(result.flatMap(({ metric }) => Object.keys(metric)))].sort();
  if (!result.length) {
    return [];
  }
  return [
    toDataFrame({
      refId: target.refId,
      fields: [
        { name: 'Time', type: FieldType.time, values: result.map(({ value }) => value[0] * 1000) },
        ...labels.map((name) => ({
          name,
          type: FieldType.string,
          values: result.map(({ metric }) => metric[name] ?? ''),
        })),
        {
          name: many ? `Value #${target.refId}` : 'Value',
          type: FieldType.number,
          values: result.map(({ value }) => Number(value[1])),
        },
      ],
    }),
  ];
}

// What is not drawn here must not be left out in silence.
function refuseUnknown({ title, options, fieldConfig }) {
  const set = fieldConfig.overrides.flatMap(({ properties }) => properties).map(({ id }) => id);
  const unknown = set.filter((id) => !standardFieldConfigEditorRegistry.getIfExists(id));
  if (options || unknown.length) {
    throw new Error(`panel ${title}: its options, or its overrides ${unknown}, are not drawn yet`);
  }
}

async function framesOf(panel, range, variables) {
  refuseUnknown(panel);
  const width = size(panel.gridPos).width;
  const found = await Promise.all(
    panel.targets.map((target) => {
      const query = filled(target.expr, variables);
      return target.instant ? table(target, query, panel.targets.length > 1) : lines(target, query, range, width);
    })
  );
  const data = await lastValueFrom(transformDataFrame(panel.transformations ?? [], found.flat()));
  const { defaults, overrides } = panel.fieldConfig;
  const [mode, custom] = panel.type === 'timeseries' ? ['palette-classic', TIMESERIES] : ['thresholds', TABLE];
  const frames = applyFieldOverrides({
    data,
    theme,
    timeZone: ZONE,
    replaceVariables: (text) => text,
    fieldConfig: {
      defaults: { color: { mode }, ...defaults, custom: { ...custom, ...defaults.custom } },
      overrides,
    },
  });
  cacheFieldDisplayNames(frames);
  return frames;
}

function size({ x, y, w, h }) {
  const column = (WIDTH - 2 * PADDING - (COLUMNS - 1) * GAP) / COLUMNS;
  return {
    left: Math.round(x * (column + GAP)),
    top: y * (CELL + GAP),
    width: Math.round(w * (column + GAP) - GAP),
    height: h * (CELL + GAP) - GAP,
  };
}

function Stat({ panel, frames, width, height }) {
  const [shown] = getFieldDisplayValues({
    data: frames,
    theme,
    timeZone: ZONE,
    sparkline: true,
    reduceOptions: { calcs: ['lastNotNull'], values: false },
    fieldConfig: panel.fieldConfig,
    replaceVariables: (text) => text,
  });
  return (
    <BigValue
      value={shown.display}
      count={1}
      sparkline={shown.sparkline}
      colorMode={BigValueColorMode.Value}
      graphMode={BigValueGraphMode.Area}
      justifyMode={BigValueJustifyMode.Auto}
      textMode={BigValueTextMode.Auto}
      width={width}
      height={height}
      theme={theme}
    />
  );
}

function Content({ panel, frames, range, width, height }) {
  if (!frames.some((frame) => frame.length)) {
    return <div className="panel-empty">No data</div>;
  }
  const common = { width, height, timeRange: range };
  switch (panel.type) {
    case 'stat':
      return <Stat panel={panel} frames={frames} width={width} height={height} />;
    case 'table':
      return <TableNG {...common} data={frames[0]} fieldConfig={panel.fieldConfig} />;
    case 'timeseries':
      return (
        <TimeSeries
          {...common}
          frames={frames}
          timeZone={ZONE}
          legend={{ showLegend: true, displayMode: 'list', placement: 'bottom', calcs: [] }}
        />
      );
    default:
      throw new Error(`a panel of the type ${panel.type} cannot be drawn yet`);
  }
}

function Panel({ panel, frames, range }) {
  const place = size(panel.gridPos);
  if (panel.type === 'row') {
    return (
      <div className="heading" style={place}>
        <Icon name="angle-down" /> {panel.title}
      </div>
    );
  }
  return (
    <div className="panel" style={place}>
      <PanelChrome
        title={panel.title}
        description={panel.description}
        width={place.width}
        height={place.height}
        padding={panel.type === 'table' ? 'none' : 'md'}
      >
        {(width, height) => <Content panel={panel} frames={frames} range={range} width={width} height={height} />}
      </PanelChrome>
    </div>
  );
}

function Controls({ dashboard, range }) {
  const all = [{ label: 'All', value: 'All' }];
  return (
    <div className="controls">
      {dashboard.templating.list.map((variable) => (
        <div className="variable" key={variable.name}>
          <InlineLabel width="auto">{variable.label}</InlineLabel>
          <MultiSelect
            options={all}
            value={variable.type === 'datasource' ? [] : all}
            placeholder="Prometheus"
            width="auto"
            isClearable={false}
            onChange={nothing}
          />
        </div>
      ))}
      <div className="space" />
      <ToolbarButton icon="clock-nine" variant="canvas" isOpen={false}>
        {rangeUtil.describeTimeRange(range.raw)}
      </ToolbarButton>
      <ToolbarButton icon="search-minus" variant="canvas" />
      <RefreshPicker value={dashboard.refresh} onIntervalChanged={nothing} onRefresh={nothing} isOnCanvas />
    </div>
  );
}

function Dashboard({ dashboard, panels, range }) {
  const below = Math.max(...panels.map(({ panel: { gridPos } }) => size(gridPos).top + size(gridPos).height));
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <style>{`
        body { margin: 0; background: ${theme.colors.background.canvas}; }
        main { width: ${WIDTH}px; padding: ${PADDING}px; box-sizing: border-box; }
        h1 { font-size: ${theme.typography.h3.fontSize}; margin: 0 0 ${GAP}px; }
        .controls { display: flex; gap: ${GAP}px; margin-bottom: ${2 * GAP}px; }
        .variable { display: flex; }
        .space { flex-grow: 1; }
        .grid { position: relative; height: ${below}px; }
        .panel, .heading { position: absolute; }
        .heading { display: flex; align-items: center; gap: ${GAP}px; font-weight: 500; font-size: 1rem; }
        .panel-empty { display: flex; align-items: center; justify-content: center; width: 100%; height: 100%; }
      `}</style>
      <main>
        <h1>{dashboard.title}</h1>
        <Controls dashboard={dashboard} range={range} />
        <div className="grid">
          {panels.map((one) => (
            <Panel key={one.panel.id} range={range} {...one} />
          ))}
        </div>
      </main>
    </ThemeContext.Provider>
  );
}

async function main() {
  const setting = { process: (value) => structuredClone(value), shouldApply: () => true };
  standardFieldConfigEditorRegistry.setInit(() => [
    ...SETTINGS.map((id) => ({ ...setting, id, path: id, name: id })),
    ...OF_TABLES.map((name) => ({ ...setting, id: `custom.${name}`, path: name, name, isCustom: true })),
  ]);
  // one of them is there under two names
  const transformers = new Map(Object.values(standardTransformers).map((one) => [one.id, one]));
  standardTransformersRegistry.setInit(() =>
    [...transformers.values()].map((one) => ({ id: one.id, name: one.name, transformation: async () => one }))
  );
  const dashboard = await (await fetch('grafana-dashboard.json')).json();
  const range = rangeOf(dashboard);
  const variables = await valuesOf(dashboard, range);
  const last = Number(given.get('rows') ?? Infinity);
  const panels = await Promise.all(
    dashboard.panels
      .filter((panel) => panel.gridPos.y < last)
      .map(async (panel) => ({ panel, frames: panel.targets ? await framesOf(panel, range, variables) : [] }))
  );
  // a canvas does not wait for its font
  document.fonts.add(await new FontFace('Inter', 'url(public/fonts/inter/Inter-Regular.woff2)').load());
  createRoot(document.getElementById('root')).render(
    <Dashboard dashboard={dashboard} panels={panels} range={range} />
  );
}

main();
