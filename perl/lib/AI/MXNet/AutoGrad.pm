package AI::MXNet::AutoGrad;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::AutoGrad::Function;
use AI::MXNet::NS 'global';
use Scalar::Util qw(blessed);

# record, pause, train_mode, predict_mode, backward, grad, mark_variables and the flags are C functions.

sub _is_array { return blessed($_[0]) && $_[0]->isa('AI::MXNet::NDArray') }

sub compute_gradient
{
    my ($class, $outputs) = @_;
    return $class->backward($outputs);
}

sub get_symbol
{
    my ($class, $array) = @_;
    return AI::MXNet::Symbol->from_recorded($array);
}

# Turns a function into one that returns (\@gradients, $outputs).
sub grad_and_loss
{
    my ($class, $function, $argnum) = @_;
    return sub {
        my @args = @_;
        my @variables = defined $argnum ? @args[ref $argnum ? @$argnum : $argnum] : @args;
        for my $variable (@variables) {
            AI::MXNet::Keshi::fail(
                'grad_and_loss: type of autograd input should NDArray, got ' . ($variable // 'undef'))
                if not _is_array($variable);
        }
        my @grads = map { $_->zeros_like } @variables;
        $class->mark_variables(\@variables, \@grads);
        my $outputs;
        $class->record(sub { $outputs = $function->(@args) });
        $class->backward(ref $outputs eq 'ARRAY' ? $outputs : [$outputs]);
        return (\@grads, $outputs);
    };
}

# Runs the sub; an operator that makes a NaN dies and is named.
sub detect_anomaly
{
    my ($class, $code) = @_;
    my $before = AI::MXNet::Keshi::set_nan_check(1);
    my $wants = wantarray;
    my @result = eval { $wants ? $code->() : scalar $code->() };
    my $error = $@;
    AI::MXNet::Keshi::set_nan_check($before);
    die $error if $error ne '';    ## no critic (RequireCarping)
    return $wants ? @result : $result[0];
}

# -- gradcheck

# Weights of the sum of all outputs, so that a mistake in one element cannot hide behind another.
sub _weights
{
    my $output = shift;
    my @values = map { 0.5 + abs sin(1 + $_) } 0 .. $output->size - 1;
    my $weights = AI::MXNet::NDArray->array(\@values, dtype => 'float64', ctx => $output->context);
    return $weights->reshape($output->shape);
}

sub _outputs
{
    my ($function, $inputs) = @_;
    my $result = $function->(@$inputs);
    my @outputs = ref $result eq 'ARRAY' ? @$result : $result;
    for my $output (@outputs) {
        AI::MXNet::Keshi::fail('gradcheck: the sub returned ' . ($output // 'undef') . ', want arrays')
            if not _is_array($output);
    }
    return map { $_->dtype eq 'float64' ? $_ : $_->astype('float64') } @outputs;
}

sub _position
{
    my ($flat, $shape) = @_;
    my @at;
    for my $size (reverse @$shape) {
        unshift @at, $flat % $size;
        $flat = int($flat / $size);
    }
    return '[' . join(',', @at) . ']';
}

sub gradcheck
{
    my ($class, $function, $inputs, %opt) = @_;
    my %default = (eps => 1e-5, rtol => 1e-4, atol => 1e-6, report => 0);
    for my $name (keys %opt) {
        AI::MXNet::Keshi::fail("gradcheck: no such named argument '$name', want one of eps, rtol, atol, report")
            if not exists $default{$name};
    }
    %opt = (%default, %opt);
    my @inputs = ref $inputs eq 'ARRAY' ? @$inputs : $inputs;
    for my $i (0 .. $#inputs) {
        AI::MXNet::Keshi::fail("gradcheck: input $i is " . ($inputs[$i] // 'undef') . ', want an AI::MXNet::NDArray')
            if not _is_array($inputs[$i]);
    }

    # What is float64 already is used itself, so that the sub may also see it through a closure.
    @inputs = map { $_->dtype eq 'float64' ? $_ : $_->astype('float64') } @inputs;
    my @grads = map { $_->zeros_like } @inputs;
    $class->mark_variables(\@inputs, \@grads);
    my (@outputs, @weights);
    $class->record(sub { @outputs = _outputs($function, \@inputs) });
    @weights = map { _weights($_) } @outputs;
    $class->backward(\@outputs, head_grads => \@weights);

    my $loss = sub {
        my $sum = 0;
        my $i = 0;
        $class->pause(sub { $sum += ($_ * $weights[$i++])->sum->asscalar for _outputs($function, \@inputs) },
            train_mode => 1);
        return $sum;
    };
    my (@wrong, $checked);
    for my $i (0 .. $#inputs) {
        my $x = $inputs[$i]->aspdl->flat->sever;
        my @analytic = $grads[$i]->aspdl->list;
        my $put = sub {
            my ($flat, $value) = @_;
            my $changed = $x->copy;
            $changed->set($flat, $value);
            my @dims = reverse @{ $inputs[$i]->shape };
            $inputs[$i]->set($changed->reshape(@dims));
        };
        for my $flat (0 .. $#analytic) {
            my $value = $x->at($flat);
            my $step = $opt{eps} * (abs $value > 1 ? abs $value : 1);
            $put->($flat, $value + $step);
            my $above = $loss->();
            $put->($flat, $value - $step);
            my $below = $loss->();
            $put->($flat, $value);
            my $numeric = ($above - $below) / (2 * $step);
            $checked++;
            my $size = abs $numeric > abs $analytic[$flat] ? abs $numeric : abs $analytic[$flat];
            next if abs($numeric - $analytic[$flat]) <= $opt{atol} + $opt{rtol} * $size;
            push @wrong,
                {
                input => $i,
                element => _position($flat, $inputs[$i]->shape),
                analytic => $analytic[$flat],
                numeric => $numeric
                };
        }
    }
    return \@wrong if $opt{report};
    if (@wrong) {
        my @lines =
            map { "input $_->{input}, element $_->{element}: analytic $_->{analytic}, numeric $_->{numeric}" } @wrong;
        splice @lines, 10, @lines - 10, '...' if @lines > 10;
        AI::MXNet::Keshi::fail(join "\n    ",
            'gradcheck: ' . @wrong . " of $checked elements differ from central differences", @lines);
    }
    return $checked;
}

1;

__END__

=head1 NAME

AI::MXNet::AutoGrad - gradients of what was computed

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $x = nd->array([1, 2, 3]);
    $x->attach_grad;
    my $y;
    autograd->record(sub { $y = ($x ** 2)->sum });
    $y->backward;
    print $x->grad->aspdl, "\n";                                              # [2 4 6]

    my $slope;
    autograd->record(sub {
        $slope = autograd->grad($x->exp, $x, create_graph => 1);              # differentiates again
    });
    $slope->backward;
    autograd->gradcheck(sub { $_[0]->tanh * 2 }, [$x]);                       # dies where a gradient is wrong

=head1 DESCRIPTION

While recording, every operator is noted with what its gradient needs. C<backward> goes back from an array to the variables
that it was computed from. What is noted goes when the arrays go; nothing is noted outside C<record>.

=over 4

=item record($sub, train_mode => 1), pause($sub, train_mode => 0)

Run the sub with recording on, or off, and training mode as given. Modes are put back however the sub ends; if it dies, its
error goes on. What it returns is lost: assign to a variable outside.

=item train_mode($sub), predict_mode($sub)

The same for training mode alone, which layers like Dropout look at.

=item is_recording, is_training, set_is_recording($on), set_is_training($on)

The setters return what was before.

=item backward($heads, head_grads =>, retain_graph => 0, train_mode => 1)

From one array or several to all variables. C<head_grads> are ones where not given. What was recorded is freed, unless
C<retain_graph> is true.

=item grad($heads, $variables, head_grads =>, retain_graph =>, create_graph => 0, train_mode => 1)

Returns the gradients and leaves those of the variables alone. With C<create_graph> they can be differentiated again.

=item mark_variables(\@variables, \@gradients, grad_reqs => 'write')

What C<attach_grad> of an array does, with gradients of one's own. Requests are C<write>, C<add> or C<null>.

=item grad_and_loss($sub, $argnum)

A sub that returns C<(\@gradients, $result)>, for all arguments or the numbered ones.

=item compute_gradient(\@heads)

C<backward> of a list.

=item detect_anomaly($sub)

Runs the sub, in which the first operator that makes a NaN dies: the message names it, the place, and in a backward pass whose
gradient it was. Gives what the sub returns. Forward and backward pass are best both in the sub.

=item gradcheck($sub, \@inputs, eps => 1e-5, rtol => 1e-4, atol => 1e-6, report => 0)

Compares gradients with central differences, in float64, and dies with each input, element, analytic and numeric value that
differ; returns how many elements were compared. With C<report> it returns the list of differences instead. The sub gets the
inputs as float64 arrays, and returns an array or a list of them.

=back

=head1 SEE ALSO

L<AI::MXNet::AutoGrad::Function>: functions with a gradient of one's own.

=cut
