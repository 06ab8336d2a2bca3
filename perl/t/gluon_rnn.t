use strict;
use warnings;
use Test::More;
use lib 't/lib';
use Near;
use AI::MXNet qw(mx);
use AI::MXNet::Gluon qw(gluon);

needs_operators(qw(FullyConnected RNN _rnn_param_concat SequenceMask));

my $rnn = gluon->rnn;
my $x = nd->array([[[1, 2], [3, 4], [0, 1]], [[-1, 0], [1, 1], [2, 2]]]);    # batch, time, channel

sub started
{
    my ($block, $init) = @_;
    $block->initialize($init // mx->init->Constant(0.375));
    return $block;
}

# -- one step against its formula

{
    my $sigmoid = sub { 1 / (1 + exp -$_[0]) };
    my $tanh = sub { (exp(2 * $_[0]) - 1) / (exp(2 * $_[0]) + 1) };
    my ($input, $h, $c) = (0.5, 0.25, -0.5);
    my %given =
        (i2h_weight => [0.1, 0.2, 0.3, 0.4], h2h_weight => [0.5, -0.1, 0.2, 0.3], i2h_bias => [0.1, 0, -0.1, 0.2]);
    my $cell = started($rnn->LSTMCell(1, input_size => 1), mx->init->Zero);
    for my $name (keys %given) {
        my $param = $cell->$name;
        $param->set_data(nd->array($given{$name})->reshape($param->shape));
    }
    my @sum = map { $given{i2h_weight}[$_] * $input + $given{h2h_weight}[$_] * $h + $given{i2h_bias}[$_] } 0 .. 3;
    my $next_c = $sigmoid->($sum[1]) * $c + $sigmoid->($sum[0]) * $tanh->($sum[2]);
    my ($out, $states) = $cell->(nd->array([[$input]]), [nd->array([[$h]]), nd->array([[$c]])]);
    is_close($states->[1], [$next_c], 'LSTMCell: the cell');
    is_close($out, [$sigmoid->($sum[3]) * $tanh->($next_c)], 'and its output');

    my $gru = started($rnn->GRUCell(1, input_size => 1), mx->init->Zero);
    $gru->i2h_weight->set_data(nd->array([[0.1], [0.2], [0.3]]));
    $gru->h2h_weight->set_data(nd->array([[0.5], [-0.1], [0.2]]));
    $gru->h2h_bias->set_data(nd->array([0, 0, 1]));
    my ($r, $z) = map { $sigmoid->($_) } 0.1 * $input + 0.5 * $h, 0.2 * $input - 0.1 * $h;
    my $new = $tanh->(0.3 * $input + $r * (0.2 * $h + 1));
    ($out) = $gru->(nd->array([[$input]]), [nd->array([[$h]])]);
    is_close($out, [(1 - $z) * $new + $z * $h], 'GRUCell');
}

# -- unrolling

my $cell = started($rnn->RNNCell(2, input_size => 2));
my ($outputs, $states) = $cell->unroll(3, $x);
is(scalar(@$outputs), 3, 'as many outputs as steps');
is_close($states->[0], $outputs->[2], 'the last one is the state');
my ($merged) = $cell->unroll(3, $x, merge_outputs => 1);
is_deeply($merged->shape, [2, 3, 2], 'merged along the axis of time');
is_close($merged->slice_axis(axis => 1, begin => 1, end => 2), $outputs->[1], 'in order');
my ($tnc) = $cell->unroll(3, $x->swapaxes(dim1 => 0, dim2 => 1), layout => 'TNC', merge_outputs => 1);
is_close($tnc->swapaxes(dim1 => 0, dim2 => 1), $merged, 'the other layout');
dies_with(sub { $cell->unroll(4, $x) }, qr/got 3 steps, want 4/, 'another number of steps');
my $given = [nd->ones([2, 2])];
is_close(
    ($cell->unroll(1, [$outputs->[0]], begin_state => $given))[0][0],
    ($cell->($outputs->[0], $given))[0],
    'a given state'
);

# Steps beyond the length of a sequence do not count.
my ($valid, $last) = $cell->unroll(3, $x, valid_length => nd->array([1, 3]), merge_outputs => 1);
is_close($valid->at(0)->slice([1, 2]), [(0) x 4], 'steps beyond the valid length are 0');
is_close($last->[0]->at(0), $outputs->[0]->at(0), 'the state is that of the last valid step');
is_close($last->[0]->at(1), $outputs->[2]->at(1), 'of each sequence');

# Masked outputs are one array as they are made, for all kinds of cells.
for my $of (
    $cell,
    $rnn->ResidualCell(started($rnn->GRUCell(2, input_size => 2))),
    $rnn->BidirectionalCell(started($rnn->RNNCell(2, input_size => 2)), started($rnn->RNNCell(2, input_size => 2)))
    )
{
    my %with = (valid_length => nd->array([1, 3]));
    my ($whole) = $of->unroll(3, $x, %with);
    my ($steps) = $of->unroll(3, $x, %with, merge_outputs => 0);
    is(ref $steps, 'ARRAY', $of->class . ': steps when they are asked for');
    is_close($whole, nd->stack(@$steps, axis => 1), 'else one array');
}

# -- cells of cells

{
    my $stack = $rnn->SequentialRNNCell(prefix => 's_');
    $stack->name_scope(
        sub { $stack->add($rnn->LSTMCell(2, input_size => 2), $rnn->RNNCell(1, 'relu', input_size => 2)) });
    started($stack);
    my ($out, $end) = $stack->unroll(3, $x);
    is(scalar(@$end), 3, 'the states of all cells');
    is("$stack", "SequentialRNNCell(\n(0): LSTMCell(2 -> 2)\n(1): RNNCell(2 -> 1, relu)\n)", 'text of a stack');
    my $step = $stack->begin_state(batch_size => 2);
    my $y;
    ($y, $step) = $stack->($x->slice_axis(axis => 1, begin => $_, end => $_ + 1)->reshape([2, 2]), $step) for 0 .. 2;
    is_close($y, $out->[2], 'stepping is unrolling');

    my $make = sub { started($rnn->RNNCell(2, input_size => 2, prefix => $_[0])) };
    my $both = $rnn->BidirectionalCell($make->('l_'), $make->('r_'));
    my ($two) = $both->unroll(3, $x, merge_outputs => 1);
    is_deeply($two->shape, [2, 3, 4], 'both directions side by side');
    is_close($two->slice_axis(axis => 2, begin => 0, end => 2), $merged, 'the left one is the cell alone');
    my ($right) = $make->('x_')->unroll(3, $x->flip(axis => 1), merge_outputs => 1);
    is_close($two->slice_axis(axis => 2, begin => 2, end => 4), $right->flip(axis => 1), 'the right one, reversed');
    my ($cut) = $both->unroll(3, $x, valid_length => nd->array([2, 3]), merge_outputs => 1);
    is_close($cut->at(0)->at(2), [(0) x 4], 'valid lengths in both directions');
    dies_with(sub { $both->($x, []) }, qr/cannot be stepped/, 'no single steps');

    my $base = $make->('b_');
    my $residual = $rnn->ResidualCell($base);
    my ($sum) = $residual->unroll(3, $x, merge_outputs => 1);
    is_close($sum, $merged + $x, 'ResidualCell adds its input');
    my ($one) = $residual->($outputs->[0], [nd->zeros([2, 2])]);
    is_close($one, ($cell->($outputs->[0], [nd->zeros([2, 2])]))[0] + $outputs->[0], 'in single steps too');
    dies_with(sub { $base->begin_state }, qr/After applying modifier cells/, 'the base cell is not for use');
    dies_with(sub { $rnn->ZoneoutCell($base) }, qr/Cell b is already modified/, 'nor for another modifier');
    my $zoneout = $rnn->ZoneoutCell($make->('z_'), 0.5, 0.25);
    my ($kept) = $zoneout->unroll(3, $x, merge_outputs => 1);
    is_close($kept, $merged, 'ZoneoutCell does nothing outside training');
    my $trained;
    autograd->record(sub { ($trained) = $zoneout->unroll(3, $x) });
    is_deeply($trained->[2]->shape, [2, 2], 'and something inside');
}

# -- layers against cells, forward and backward

for my $case (['RNN', 'RNNCell', [activation => 'tanh']], ['LSTM', 'LSTMCell', []], ['GRU', 'GRUCell', []]) {
    my ($layer, $class, $args) = @$case;
    mx->random->seed(3);
    my $fused = started($rnn->$layer(3, @$args, layout => 'NTC'), mx->init->Uniform(0.5));
    $fused->($x);
    my $single = started($rnn->$class(3, input_size => 2), mx->init->Zero);
    $single->$_->set_data($fused->collect_params->params->get($fused->prefix . "l0_$_")->data)
        for qw(i2h_weight h2h_weight i2h_bias h2h_bias);
    my ($y, $steps);
    autograd->record(sub { $y = $fused->($x); $y->backward });
    autograd->record(sub { ($steps) = $single->unroll(3, $x, merge_outputs => 1); $steps->backward });
    is_close($y, $steps, "$layer and the cells agree", 1e-5);
    is_close(
        $fused->collect_params->params->get($fused->prefix . 'l0_i2h_weight')->grad,
        $single->i2h_weight->grad,
        'so do their gradients', 1e-5
    );
    is($fused->l0_h2h_bias->name, $fused->prefix . 'l0_h2h_bias', 'each parameter is an attribute');
    is_deeply($fused->l0_i2h_weight->shape, $single->i2h_weight->shape, 'with the shape that the input gave it');

    for my $either ($fused, $single) {
        my @states = map { $either->begin_state(@$_) } [2], [batch_size => 2], [2, ctx => mx->cpu(1)];
        is_deeply($_->[0]->shape, $states[0][0]->shape, 'begin_state takes the size of the batch first or by name')
            for @states;
        is($states[2][0]->context, 'cpu(1)', 'and more by name');
    }
    my $result = $fused->($x, $fused->begin_state(2));
    is_close($result->[0], $y, 'with states given', 1e-5);
    is(scalar(@{ $result->[1] }), $layer eq 'LSTM' ? 2 : 1, 'which come back');
    $fused->hybridize;
    is_close(scalar($fused->($x)), $y, 'hybridized', 1e-5);
    my @list = $fused->($x, $fused->begin_state(2));
    is(scalar(@list), 2, 'and as a list, with states');
}
{
    my $deep = $rnn->LSTM(3, 2, bidirectional => 1, dropout => 0.5);
    started($deep);
    is_deeply($deep->($x->swapaxes(dim1 => 0, dim2 => 1))->shape, [3, 2, 6], 'two layers, both directions');
    is_deeply($deep->collect_params->params->get($deep->prefix . 'r1_i2h_weight')->shape, [12, 6], 'inner widths');
    is("$deep", 'LSTM(3, TNC, num_layers=2, dropout=0.5, bidirectional)', 'text of a layer');
    dies_with(sub { $deep->($x, [nd->ones([1, 2, 3])]) }, qr/Invalid recurrent state shape/,
        'a state of another shape');
    dies_with(sub { $rnn->GRU(2, layout => 'CNT') }, qr/Invalid layout \[CNT\]/, 'another layout');
}

done_testing;
