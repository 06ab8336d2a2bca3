package AI::MXNet::Module::Base;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;
use AI::MXNet::Callback;
use AI::MXNet::IO;
use AI::MXNet::Initializer;
use AI::MXNet::Logging;
use AI::MXNet::Metric;
use AI::MXNet::NDArray;
use AI::MXNet::Symbol;
use Scalar::Util qw(blessed);
use Time::HiRes qw(time);

# What all modules can do once they can bind, forward, backward and update.

sub _fail { return AI::MXNet::Keshi::fail(@_) }

sub _log { return AI::MXNet::Logging->info(@_) }

# Named arguments over their defaults; an unknown name dies.
sub _named
{
    my ($who, $defaults, @given) = @_;
    _fail("$who: got an odd number of named arguments") if @given % 2;
    my %given = (%$defaults, @given);
    for my $name (sort keys %given) {
        _fail("$who: no such named argument '$name', want one of " . join ', ', sort keys %$defaults)
            if not exists $defaults->{$name};
    }
    return \%given;
}

# The arguments of bind, with those that a kind of module adds.
sub _bind_arguments
{
    my ($self, $given, %more) = @_;
    my %defaults = (
        data_shapes => undef,
        label_shapes => undef,
        for_training => 1,
        inputs_need_grad => 0,
        force_rebind => 0,
        shared_module => undef,
        grad_req => 'write',
        %more
    );
    return _named('bind', \%defaults, @$given);
}

for my $name (qw(binded for_training inputs_need_grad params_initialized optimizer_initialized)) {
    no strict 'refs';
    *$name = sub { my $self = shift; $self->{$name} = shift if @_; return $self->{$name} };
}

# The state that a test or a subclass may want to see is the module's own.
sub _p { return $_[0] }

sub _need
{
    my ($self, @states) = @_;
    my %why = (
        binded => 'call bind before',
        params_initialized => 'call init_params before',
        optimizer_initialized => 'call init_optimizer before',
    );
    for my $state (@states) {
        next if $self->$state;
        my ($caller) = grep { !/^_/ } map { (caller $_)[3] =~ s/.*:://r } 1, 2;
        _fail("$caller: $why{$state} it");
    }
    return;
}

sub _callbacks
{
    return grep { defined } ref $_[0] eq 'ARRAY' ? @{ $_[0] } : $_[0];
}

# An iterator as it is; arrays as one batch each.
sub _metric { return blessed($_[0]) && $_[0]->isa('AI::MXNet::EvalMetric') ? $_[0] : AI::MXNet::Metric->create($_[0]) }

sub forward_backward
{
    my ($self, $batch) = @_;
    $self->forward($batch, is_train => 1);
    $self->backward;
    return;
}

sub _iterator
{
    my ($iter, $method) = @_;
    return if blessed $iter and $iter->isa('AI::MXNet::DataIter') || $iter->can('provide_data');
    return _fail(
        "$method: got " . (ref $iter || ($iter // 'nothing')) . ', want an iterator such as mx->io->NDArrayIter');
}

# Runs over an iterator without training; $code gets each batch and its number.
sub _each_batch
{
    my ($self, $iter, $arg, $code) = @_;
    $self->_need(qw(binded params_initialized));
    _iterator($iter, (caller 1)[3] =~ s/.*:://r);
    $iter->reset if $arg->{reset};
    my $n = 0;
    while (my $batch = <$iter>) {
        last if defined $arg->{num_batch} and $n == $arg->{num_batch};
        $self->prepare($batch);
        $self->forward($batch, is_train => 0);
        $code->($batch, $n++);
    }
    return $n;
}

sub prepare { return }

sub score
{
    my ($self, $iter, $metric, @given) = @_;
    my $arg =
        _named('score',
        { num_batch => undef, batch_end_callback => undef, score_end_callback => undef, reset => 1, epoch => 0 },
        @given);
    $metric = _metric($metric);
    $metric->reset;
    my $param = sub { AI::MXNet::BatchEndParam->new(epoch => $arg->{epoch}, nbatch => $_[0], eval_metric => $metric) };
    my $n = $self->_each_batch(
        $iter, $arg,
        sub {
            my ($batch, $i) = @_;
            $self->update_metric($metric, $batch->label);
            $_->($param->($i)) for _callbacks($arg->{batch_end_callback});
        }
    );
    $_->($param->($n)) for _callbacks($arg->{score_end_callback});
    return $metric->get_name_value;
}

# The outputs of a batch without the entries that only fill it up.
sub _unpadded
{
    my ($self, $batch) = @_;
    my $pad = $batch->pad // 0;
    return [map { $pad ? $_->slice([0, $_->shape->[0] - $pad - 1]) : $_ } @{ $self->get_outputs }];
}

sub iter_predict
{
    my ($self, $iter, @given) = @_;
    my $arg = _named('iter_predict', { num_batch => undef, reset => 1 }, @given);
    my @results;
    $self->_each_batch($iter, $arg, sub { push @results, [$self->_unpadded($_[0]), $_[1], $_[0]] });
    return @results;
}

sub predict
{
    my ($self, $iter, @given) = @_;
    my $arg =
        _named('predict', { num_batch => undef, merge_batches => 1, reset => 1, always_output_list => 0 }, @given);
    if (not blessed($iter) or not $iter->isa('AI::MXNet::DataIter')) {
        $iter = AI::MXNet::NDArray->array($iter) if not blessed($iter) or not $iter->isa('AI::MXNet::NDArray');
        $self->_need(qw(binded params_initialized));
        $self->forward(AI::MXNet::DataBatch->new(data => [$iter]), is_train => 0);
        return $self->get_outputs->[0];
    }
    my @batches;
    $self->_each_batch(
        $iter, $arg,
        sub {
            push @batches, [map { $_->copy } @{ $self->_unpadded($_[0]) }];
        }
    );
    return @batches if not @batches or not $arg->{merge_batches};
    my $outputs = @{ $batches[0] };
    _fail('predict: cannot merge batches, as the number of outputs is not the same for all; bucketing may be the cause')
        if grep { @$_ != $outputs } @batches;
    my @merged = map {
        my $k = $_;
        AI::MXNet::NDArray->concatenate([map { $_->[$k] } @batches])
    } 0 .. $outputs - 1;
    return $merged[0] if @merged == 1 and not $arg->{always_output_list};
    return @merged;
}

sub fit
{
    my ($self, $train, @given) = @_;
    my $arg = _named(
        'fit',
        {
            eval_data => undef,
            eval_metric => 'acc',
            epoch_end_callback => undef,
            batch_end_callback => undef,
            kvstore => 'local',
            optimizer => 'sgd',
            optimizer_params => { learning_rate => 0.01 },
            eval_end_callback => undef,
            eval_batch_end_callback => undef,
            initializer => undef,
            arg_params => undef,
            aux_params => undef,
            allow_missing => 0,
            force_rebind => 0,
            force_init => 0,
            begin_epoch => 0,
            num_epoch => undef,
            validation_metric => undef,
            monitor => undef,
        },
        @given
    );
    _fail('fit: please specify number of epochs') if not defined $arg->{num_epoch};
    _iterator($train, 'fit');
    $self->bind(
        data_shapes => $train->provide_data,
        label_shapes => $train->provide_label,
        for_training => 1,
        force_rebind => $arg->{force_rebind},
    );
    $self->install_monitor($arg->{monitor}) if $arg->{monitor};
    $self->init_params(
        initializer => $arg->{initializer} // AI::MXNet::Initializer->Uniform(scale => 0.01),
        map { $_ => $arg->{$_} } qw(arg_params aux_params allow_missing force_init),
    );
    $self->init_optimizer(map { $_ => $arg->{$_} } qw(kvstore optimizer optimizer_params));
    my $metric = _metric($arg->{eval_metric});
    my $validation = $arg->{validation_metric} // $metric;
    $self->_epoch($train, $_, $arg, $metric, $validation) for $arg->{begin_epoch} .. $arg->{num_epoch} - 1;
    return;
}

sub _epoch
{
    my ($self, $train, $epoch, $arg, $metric, $validation) = @_;
    my ($start, $n, $batch) = (time, 0, scalar <$train>);
    _fail('fit: the iterator is at its end, reset it first') if not defined $batch;
    $metric->reset;
    while (defined $batch) {
        $arg->{monitor}->tic if $arg->{monitor};
        $self->prepare($batch);
        $self->forward_backward($batch);
        $self->update;
        $self->update_metric($metric, $batch->label);
        my $next = <$train>;
        $arg->{monitor}->toc_print if $arg->{monitor};
        my $param = AI::MXNet::BatchEndParam->new(epoch => $epoch, nbatch => $n++, eval_metric => $metric);
        $_->($param) for _callbacks($arg->{batch_end_callback});
        $batch = $next;
    }
    my $values = $metric->get_name_value;
    _log('Epoch[%d] Train-%s=%f', $epoch, $_, $values->{$_}) for sort keys %$values;
    _log('Epoch[%d] Time cost=%.3f', $epoch, time - $start);
    my ($arg_params, $aux_params) = $self->get_params;
    $self->set_params($arg_params, $aux_params);
    $_->($epoch, $self->get_symbol, $arg_params, $aux_params) for _callbacks($arg->{epoch_end_callback});
    if ($arg->{eval_data}) {
        my $scores = $self->score(
            $arg->{eval_data}, $validation,
            score_end_callback => $arg->{eval_end_callback},
            batch_end_callback => $arg->{eval_batch_end_callback},
            epoch => $epoch,
        );
        _log('Epoch[%d] Validation-%s=%f', $epoch, $_, $scores->{$_}) for sort keys %$scores;
    }
    $train->reset;
    return;
}

# -- parameters and files

sub save_params
{
    my ($self, $file) = @_;
    my ($arg, $aux) = $self->get_params;
    AI::MXNet::NDArray->save($file, _prefixed($arg, $aux));
    return;
}

sub _prefixed
{
    my ($arg, $aux) = @_;
    return { (map { ("arg:$_" => $arg->{$_}) } keys %$arg), map { ("aux:$_" => $aux->{$_}) } keys %$aux };
}

# Arguments and states of a file.
sub _read_params
{
    my $file = shift;
    my $all = AI::MXNet::NDArray->load($file);
    my %params = (arg => {}, aux => {});
    for my $key (ref $all eq 'HASH' ? keys %$all : '') {
        my ($kind, $name) = $key =~ /^(arg|aux):(.*)$/s or _fail("Invalid param file $file");
        $params{$kind}{$name} = $all->{$key};
    }
    return @params{qw(arg aux)};
}

sub load_params
{
    my ($self, $file) = @_;
    $self->set_params(_read_params($file));
    return;
}

sub model_save_checkpoint
{
    my ($class, $prefix, $epoch, $symbol, $arg_params, $aux_params) = @_;
    $symbol->save("$prefix-symbol.json") if defined $symbol;
    my $file = sprintf '%s-%04d.params', $prefix, $epoch;
    AI::MXNet::NDArray->save($file, _prefixed($arg_params, $aux_params));
    _log('Saved checkpoint to "%s"', $file);
    return;
}

sub load_checkpoint
{
    my ($class, $prefix, $epoch) = @_;
    return (AI::MXNet::Symbol->load("$prefix-symbol.json"), _read_params(sprintf '%s-%04d.params', $prefix, $epoch));
}

1;
