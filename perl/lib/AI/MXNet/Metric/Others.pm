package AI::MXNet::Metric::Others;
use 5.014;
use strict;
use warnings;

# The mean of outputs, subs as metrics, and several metrics as one.

package AI::MXNet::Loss;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::EvalMetric';
has '+name' => (default => 'loss');

# Labels are not looked at.
sub update
{
    my ($self, $labels, $preds) = @_;
    $self->_check_arrays(preds => $preds);
    $self->_count($_->aspdl->double->sum . '', $_->size) for @$preds;
    return;
}

package AI::MXNet::CustomMetric;    ## no critic (ProhibitMultiplePackages)
use Mouse;
use Scalar::Util qw(refaddr);
extends 'AI::MXNet::EvalMetric';
has '+name' => (default => 'custom');
has eval_function => (is => 'ro', isa => 'CodeRef', required => 1);
has allow_extra_outputs => (is => 'ro', isa => 'Bool', default => 0);
sub python_constructor_arguments { return qw(eval_function allow_extra_outputs) }

sub update
{
    my ($self, $labels, $preds) = @_;
    if ($self->allow_extra_outputs) {
        $self->_check_arrays(labels => $labels);
        $self->_check_arrays(preds => $preds);
        my $both = @$labels < @$preds ? @$labels : @$preds;
        ($labels, $preds) = map { [@{$_}[0 .. $both - 1]] } $labels, $preds;
    }
    for my $pair ($self->_pairs($labels, $preds)) {
        my $result = $self->eval_function->(map { $_->aspdl } @$pair);
        my ($sum, $count) = ref $result eq 'ARRAY' ? @$result : ($result, 1);
        $self->_count(ref $sum ? "$sum" : $sum, $count);
    }
    return;
}

# Storable cannot copy subs. Within one process a copy shares its sub with the original.
my %kept;

sub STORABLE_freeze
{
    my ($self, $cloning) = @_;
    my $id = refaddr $self->eval_function;
    $kept{$id} = $self->eval_function;
    my %given = %{ $self->_given };
    delete $given{eval_function};
    return ($id, { %$self, eval_function => undef, _given => \%given });
}

sub STORABLE_thaw
{
    my ($self, $cloning, $id, $rest) = @_;
    my $function = $kept{$id} // sub { die "this metric's sub was not stored with it\n" };
    %$self = (%$rest, eval_function => $function, _given => { %{ $rest->{_given} }, eval_function => $function });
    return;
}

package AI::MXNet::CompositeEvalMetric;    ## no critic (ProhibitMultiplePackages)
use Mouse;
use AI::MXNet::Keshi;
use Scalar::Util qw(blessed);
extends 'AI::MXNet::EvalMetric';
has '+name' => (default => 'composite');
has metrics => (is => 'rw', isa => 'ArrayRef[AI::MXNet::EvalMetric]', default => sub { [] });
sub python_constructor_arguments { return qw(metrics) }

sub add
{
    my ($self, $metric) = @_;
    AI::MXNet::Keshi::fail('CompositeEvalMetric: add got ' . ($metric // 'undef') . ', want an AI::MXNet::EvalMetric')
        if not blessed $metric
        or not $metric->isa('AI::MXNet::EvalMetric');
    push @{ $self->metrics }, $metric;
    return;
}

sub get_metric
{
    my ($self, $index) = @_;
    return $self->metrics->[$index]
        // AI::MXNet::Keshi::fail("Metric index $index is out of range 0 and " . @{ $self->metrics });
}

sub update
{
    my ($self, @both) = @_;
    $_->update(@both) for @{ $self->metrics };
    return;
}

after reset => sub { $_->reset for @{ $_[0]->metrics } };

sub get
{
    my $self = shift;
    my (@names, @values);
    for my $metric (@{ $self->metrics }) {
        my ($name, $value) = $metric->get;
        push @names, ref $name ? @$name : $name;
        push @values, ref $value ? @$value : $value;
    }
    return (\@names, \@values);
}

around get_config => sub {
    my ($orig, $self) = @_;
    return { %{ $self->$orig }, metrics => $self->metrics };
};

1;
