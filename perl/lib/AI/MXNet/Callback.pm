package AI::MXNet::Callback;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Logging;

# What can be called while a module is fitted.

sub Speedometer { my ($class, @args) = @_; return AI::MXNet::Speedometer->new(@args) }
sub ProgressBar { my ($class, @args) = @_; return AI::MXNet::ProgressBar->new(@args) }
sub LogValidationMetricsCallback { return AI::MXNet::LogValidationMetricsCallback->new }

sub module_checkpoint
{
    my ($class, $mod, $prefix, $period, $save_optimizer_states) = @_;
    $period = $period && $period >= 1 ? int $period : 1;
    return sub {
        my ($epoch) = @_;
        $mod->save_checkpoint($prefix, $epoch + 1, $save_optimizer_states // 0) if ($epoch + 1) % $period == 0;
        return;
    };
}

sub do_checkpoint
{
    my ($class, $prefix, $period) = @_;
    $period = $period && $period >= 1 ? int $period : 1;
    return sub {
        my ($epoch, $symbol, $arg_params, $aux_params) = @_;
        AI::MXNet::Module->model_save_checkpoint($prefix, $epoch + 1, $symbol, $arg_params, $aux_params)
            if ($epoch + 1) % $period == 0;
        return;
    };
}

sub log_train_metric
{
    my ($class, $period, $auto_reset) = @_;
    return sub {
        my ($param) = @_;
        return if $param->nbatch % $period or not defined $param->eval_metric;
        AI::MXNet::Logging->info('Iter[%d] Batch[%d] Train-%s=%f', $param->epoch, $param->nbatch, @$_)
            for _values($param->eval_metric);
        $param->eval_metric->reset if $auto_reset;
        return;
    };
}

# Names and values of a metric, in its order.
sub _values
{
    my ($names, $values) = map { ref $_ ? $_ : [$_] } $_[0]->get;
    return map { [$names->[$_], $values->[$_]] } 0 .. $#$names;
}

# -- what a callback is given after each batch

package AI::MXNet::BatchEndParam;    ## no critic (ProhibitMultiplePackages)
use Mouse;
has [qw(epoch nbatch)] => (is => 'rw', isa => 'Int');
has eval_metric => (is => 'rw');
has locals => (is => 'rw');
__PACKAGE__->meta->make_immutable;

# -- callbacks that remember

package AI::MXNet::Callback::Object;    ## no critic (ProhibitMultiplePackages)
use Mouse;
use overload
    '&{}' => sub {
    my $self = shift;
    return sub { return $self->call(@_) }
    },
    fallback => 1;

# Takes leading arguments for the attributes that the class lists.
around BUILDARGS => sub {
    my ($orig, $class, @args) = @_;
    return $class->$orig(@args) if @args % 2 == 0 and (not defined $args[0] or $args[0] !~ /^-?[\d.]+$/);
    my @names = $class->_positional;
    return $class->$orig(map { ($names[$_] => $args[$_]) } 0 .. ($#args < $#names ? $#args : $#names));
};

package AI::MXNet::Speedometer;    ## no critic (ProhibitMultiplePackages)
use Mouse;
use Time::HiRes ();
extends 'AI::MXNet::Callback::Object';
has batch_size => (is => 'ro', isa => 'Num', required => 1);
has frequent => (is => 'ro', isa => 'Int', default => 50);
has auto_reset => (is => 'ro', isa => 'Bool', default => 1);
has [qw(tic init last_count)] => (is => 'rw', isa => 'Num', init_arg => undef, default => 0);
sub _positional { return qw(batch_size frequent auto_reset) }

sub call
{
    my ($self, $param) = @_;
    my $count = $param->nbatch;
    $self->init(0) if $self->last_count > $count;
    $self->last_count($count);
    if (not $self->init) {
        $self->init(1);
        $self->tic(Time::HiRes::time());
        return;
    }
    return if $count % $self->frequent;
    my $seconds = Time::HiRes::time() - $self->tic;
    my $speed = $self->frequent * $self->batch_size / ($seconds > 1e-9 ? $seconds : 1e-9);
    if (defined $param->eval_metric) {
        my @values = AI::MXNet::Callback::_values($param->eval_metric);
        $param->eval_metric->reset if $self->auto_reset;
        AI::MXNet::Logging->info("Epoch[%d] Batch [%d]\tSpeed: %.2f samples/sec\tTrain-%s=%f",
            $param->epoch, $count, $speed, @$_)
            for @values;
    } else {
        AI::MXNet::Logging->info("Iter[%d] Batch [%d]\tSpeed: %.2f samples/sec", $param->epoch, $count, $speed);
    }
    $self->tic(Time::HiRes::time());
    return;
}

package AI::MXNet::ProgressBar;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Callback::Object';
has total => (is => 'ro', isa => 'Num', required => 1);
has length => (is => 'ro', isa => 'Int', default => 80);
sub _positional { return qw(total length) }

sub call
{
    my ($self, $param) = @_;
    my $share = $param->nbatch / $self->total;
    my $filled = int(0.5 + $self->length * $share);
    $filled = $self->length if $filled > $self->length;
    local $| = 1;
    printf "[%s%s] %d%%\r", '=' x $filled, '-' x ($self->length - $filled), int(100 * $share) + 1;
    return;
}

package AI::MXNet::LogValidationMetricsCallback;    ## no critic (ProhibitMultiplePackages)
use Mouse;
extends 'AI::MXNet::Callback::Object';

sub call
{
    my ($self, $param) = @_;
    return if not defined $param->eval_metric;
    AI::MXNet::Logging->info('Epoch[%d] Validation-%s=%f', $param->epoch, @$_)
        for AI::MXNet::Callback::_values($param->eval_metric);
    return;
}

1;

__END__

=head1 NAME

AI::MXNet::Callback - what can be called while a module is fitted

=head1 SYNOPSIS

    use AI::MXNet qw(mx);
    my $metric = mx->metric->create('acc');
    $metric->update([nd->array([1])], [nd->array([[0, 1]])]);
    my $callback = mx->callback->Speedometer(32, 10);
    $callback->(AI::MXNet::BatchEndParam->new(epoch => 0, nbatch => $_, eval_metric => $metric)) for 0 .. 10;

=head1 DESCRIPTION

A callback after a batch is called with an C<AI::MXNet::BatchEndParam>: C<epoch>, C<nbatch>, C<eval_metric>.

=over 4

=item Speedometer($batch_size, $frequent = 50, $auto_reset = 1)

Logs speed and metric when the number of the batch is a multiple of C<$frequent>, and resets the metric. The first call of an epoch
starts the clock.

=item ProgressBar($total, $length = 80)

Prints a bar to the selected handle, over the bar before.

=item log_train_metric($period, $auto_reset = 0), LogValidationMetricsCallback()

Log the metric.

=item module_checkpoint($mod, $prefix, $period = 1, $save_optimizer_states = 0)

For the end of an epoch: saves the module at each C<$period>th.

=item do_checkpoint($prefix, $period = 1)

The same without the module: saves the symbol and the parameters that C<fit> gives its C<epoch_end_callback>.

=back

=cut
